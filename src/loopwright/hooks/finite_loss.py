"""FiniteLossHook: a loss that is NaN or infinite stops the run before it reaches the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS

if TYPE_CHECKING:
    from torch import Tensor

POLICIES = ("stop", "skip", "rollback", "ignore")


class NonFiniteLossError(FloatingPointError):
    """The loss of an iteration is NaN or infinite; the weights have not seen it (on a CPU)."""


class RollBack(Exception):
    """A wish to go back to the last good checkpoint and leave ``iteration`` out."""

    def __init__(self, iteration: int, error: Exception) -> None:
        super().__init__(f"go back to before iteration {iteration}")
        self.iteration = iteration
        self.error = error


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Looks at every loss before it goes backward, where that costs no device synchronisation.

    On a CPU the value is in memory already. On an accelerator it is read every ``interval``
    iterations, after the update. ``policy``: ``'stop'`` raises NonFiniteLossError, ``'skip'``
    leaves the batch out (at most ``max_skips`` in a row), ``'rollback'`` loads the last good
    checkpoint and leaves the iteration that spoiled the weights or the loss out (at most
    ``max_rollbacks`` times a run), ``'ignore'`` does nothing. A loss scaler (fp16) skips such steps
    by itself and is left alone.
    """

    priority = "VERY_HIGH"

    def __init__(
        self,
        policy: str = "stop",
        interval: int = 50,
        max_skips: int = 10,
        max_rollbacks: int = 3,
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
        self.policy = policy
        self.interval = interval
        self.max_skips = max_skips
        self.max_rollbacks = max_rollbacks
        self.skipped = 0
        self._in_a_row = 0
        self._batch: Any = None
        self._runner: Any = None

    def before_train(self, runner: Any) -> None:
        wrapper = runner.optim_wrapper
        scaled = getattr(wrapper, "loss_scaler", None) is not None
        if self.policy == "ignore" or scaled or not hasattr(wrapper, "check_loss"):
            return
        self._runner = runner
        if runner.device.type == "cpu":
            wrapper.check_loss = self.check

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self._batch = data_batch

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._batch = None
        if self._runner is None or runner.device.type == "cpu":
            return
        if self.every_n_train_iters(runner, self.interval) and "loss" in (outputs or {}):
            self.check(outputs["loss"].detach().cpu())

    def check(self, loss: Tensor) -> bool:
        """Whether to learn from this loss (a scalar in CPU memory)."""
        value = loss.detach()
        try:
            # A view of the memory, not a read through torch: nothing waits, nothing is dispatched.
            number = value.numpy().item()
        except TypeError:  # bfloat16, which numpy does not know
            number = value.float().numpy().item()
        if math.isfinite(number):
            self._in_a_row = 0
            return True
        where = f"iteration {self._runner.iter} (0-based), epoch {self._runner.epoch}"
        self._in_a_row += 1
        error = NonFiniteLossError(
            f"the loss is {number} at {where}; first bad tensor: {self._first_bad()}"
            f"{samples_of(getattr(self._runner, 'train_dataloader', None))}. "
            "To go on, set default_hooks.finite_loss.policy to 'skip', 'rollback' or 'ignore'"
        )
        if self.policy == "rollback" and len(self._runner.left_out) < self.max_rollbacks:
            raise RollBack(self._guilty(), error)
        if self.policy == "skip" and self._in_a_row <= self.max_skips and not self._spoiled():
            self.skipped += 1
            self._runner.logger.warning(f"loss is {number} at {where}: batch left out")
            return False
        raise error

    def _guilty(self) -> int:
        """This iteration, or the one before it whose update spoiled the weights."""
        runner = self._runner
        now = runner.iter
        if all(_finite(p) for p in runner.model.parameters()):
            return int(now)
        return next((i for i in range(now - 1, -1, -1) if i not in runner.left_out), int(now))

    def _spoiled(self) -> bool:
        """Whether the forward has left NaN in a buffer (batch norm): leaving out is too late."""
        return not all(_finite(b) for b in self._runner.model.buffers())

    def _first_bad(self) -> str:
        named = [*tensors_of(self._batch, "batch"), *self._runner.model.named_parameters()]
        named += list(self._runner.model.named_buffers())
        for name, tensor in named:
            if not _finite(tensor):
                count = int((~tensor.isfinite()).sum())
                return f"{name} ({count} of {tensor.numel()} values)"
        return "none of batch, parameters and buffers: it arose inside forward"


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def samples_of(loader: Any) -> str:
    """``"; samples 3, 7"`` of the batch in hand; nothing where the loader cannot tell."""
    known = getattr(loader, "samples_now", lambda: None)()
    if not known:
        return ""
    more = f" and {len(known) - 16} more" if len(known) > 16 else ""
    return f"; samples {', '.join(map(str, known[:16]))}{more}"


def tensors_of(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in a batch of dicts and lists, with where it lies."""
    if hasattr(value, "is_floating_point"):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_of(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from tensors_of(item, f"{name}.{index}")

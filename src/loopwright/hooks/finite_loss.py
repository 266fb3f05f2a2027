"""FiniteLossHook: a loss that is NaN or infinite stops the run before it reaches the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS

if TYPE_CHECKING:
    from torch import Tensor

POLICIES = ("stop", "skip", "ignore")


class NonFiniteLossError(FloatingPointError):
    """The loss of an iteration is NaN or infinite; the weights have not seen it (on a CPU)."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Looks at every loss before it goes backward, where that costs no device synchronisation.

    On a CPU the value is in memory already. On an accelerator it is read every ``interval``
    iterations, after the update. ``policy``: ``'stop'`` raises NonFiniteLossError, ``'skip'``
    leaves the batch out (at most ``max_skips`` in a row), ``'ignore'`` does nothing. A loss scaler
    (fp16) skips such steps by itself and is left alone.
    """

    priority = "VERY_HIGH"

    def __init__(self, policy: str = "stop", interval: int = 50, max_skips: int = 10) -> None:
        if policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
        self.policy = policy
        self.interval = interval
        self.max_skips = max_skips
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
        if self.policy == "skip" and self._in_a_row <= self.max_skips:
            self.skipped += 1
            self._runner.logger.warning(f"loss is {number} at {where}: batch left out")
            return False
        raise NonFiniteLossError(
            f"the loss is {number} at {where}; first bad tensor: {self._first_bad()}. "
            "To go on, set default_hooks.finite_loss.policy to 'skip' or 'ignore'"
        )

    def _first_bad(self) -> str:
        named = [*_tensors(self._batch, "batch"), *self._runner.model.named_parameters()]
        named += list(self._runner.model.named_buffers())
        for name, tensor in named:
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                count = int((~tensor.isfinite()).sum())
                return f"{name} ({count} of {tensor.numel()} values)"
        return "none of batch, parameters and buffers: it arose inside forward"


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if hasattr(value, "is_floating_point"):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{name}.{index}")

"""Mixed precision as a kind of optim wrapper: scale, unscale once, measure, clip, step, update."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from loopwright.optim.flag import Flag
from loopwright.optim.options import dtype_name, scaler_options
from loopwright.optim.values import truth, whole
from loopwright.optim.wrapper import OptimWrapper
from loopwright.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """An optim wrapper whose forward runs under autocast, on any device.

    `dtype` is "float16" or "bfloat16" (default: what autocast uses on the device), or "float32",
    which casts nothing. Only float16 needs a loss scale: "dynamic", a fixed number, or a dict of
    `torch.amp.GradScaler` options (`use_fsdp` takes the one for FSDP1).
    A step whose gradients overflowed is dropped, `last_step_skipped` says so; after
    `max_skipped_steps` of them in a row FloatingPointError names the tensors.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> sgd = torch.optim.SGD([weight], lr=0.5)
    >>> wrapper = AmpOptimWrapper(dtype="float16", loss_scale=1024.0, optimizer=sgd)
    >>> wrapper.update_params((weight * float("inf")).sum())
    >>> wrapper.last_step_skipped, weight.item()
    (True, 1.0)
    """

    def __init__(
        self,
        loss_scale: str | float | dict[str, Any] = "dynamic",
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        *,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
        max_skipped_steps: int = 50,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        params = self._params()
        self.device_type = params[0].device.type if params else "cpu"
        self.cast_dtype = cast_dtype(dtype, self.device_type)
        self.loss_scale = loss_scale
        self.max_skipped_steps = whole(max_skipped_steps, "max_skipped_steps", least=1)
        self._fixed_scale = float(loss_scale) if isinstance(loss_scale, int | float) else None
        self.loss_scaler = self._make_scaler(truth(use_fsdp, "use_fsdp"))
        self._overflow = Flag()
        self._skipped_steps = 0
        self._skipped_in_row = 0

    def _make_scaler(self, sharded: bool) -> Any:
        options = scaler_options(self.loss_scale)
        if self.cast_dtype is not torch.float16:
            if self.loss_scale != "dynamic":
                warnings.warn(
                    f"loss_scale is not used: {self.cast_dtype} needs no loss scale", stacklevel=3
                )
            return None
        if not options.get("enabled", True):
            return None
        if sharded:
            from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

            return ShardedGradScaler(device=self.device_type, **options)
        return torch.amp.GradScaler(self.device_type, **options)

    # -- one update ------------------------------------------------------------------------

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backward of the scaled loss, counted."""
        if self.loss_scaler is not None:
            self._settle()
            loss = self.loss_scaler.scale(loss)
        super().backward(loss, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Unscale once, measure and clip the true gradients, step unless they overflowed."""
        scaler = self.loss_scaler
        if scaler is None:
            super().step(**kwargs)
            return
        if all(p.grad is None for p in self._params()):
            return
        scaler.unscale_(self.optimizer)
        self._overflow.put(list(scaler._found_inf_per_device(self.optimizer).values()))
        self._raise_at_limit()
        self._clip_grad()
        scaler.step(self.optimizer, **kwargs)
        scaler.update(self._fixed_scale)
        self._attempted = True

    def _raise_at_limit(self) -> None:
        """Read the flag only when this skip would be one too many."""
        if self._skipped_in_row + 1 < self.max_skipped_steps or not self._overflow.read():
            return
        raise FloatingPointError(
            f"{self.max_skipped_steps} steps in a row were skipped because gradients overflowed; "
            f"not finite now: {', '.join(self._not_finite()) or 'none'}"
        )

    def _not_finite(self) -> list[str]:
        found = []
        for i, group in enumerate(self.optimizer.param_groups):
            names = group.get("param_names") or [
                f"group {i} parameter {j}" for j in range(len(group["params"]))
            ]
            for name, p in zip(names, group["params"], strict=True):
                if p.grad is not None and not bool(torch.isfinite(p.grad).all()):
                    found.append(name)
        return found

    def _settle(self) -> None:
        """Count the last step, whose flag has long arrived, before the next begins."""
        if self._overflow.pending:
            skipped = self._overflow.read()
            self._skipped_steps += skipped
            self._skipped_in_row = self._skipped_in_row + 1 if skipped else 0
            self._overflow.clear()

    @property
    def last_step_skipped(self) -> bool:
        """Whether the last `update_params` dropped its step because a gradient overflowed.

        Asking waits for the gradients to be unscaled (float16 alone; not for the step itself).
        """
        return self._overflow.pending and self._overflow.read()

    @property
    def last_update(self) -> bool:
        """Whether the last `update_params` changed the weights."""
        return self._attempted and not self.last_step_skipped

    @last_update.setter
    def last_update(self, attempted: bool) -> None:
        self._attempted = attempted

    def metrics(self) -> dict[str, Tensor | float]:
        """As `OptimWrapper.metrics`, with `loss_scale` and the number of `skipped_steps`.

        Nothing is waited for, so a skip is counted when the update after it begins.
        """
        found = super().metrics()
        if self.loss_scaler is None:
            return found
        found["skipped_steps"] = float(self._skipped_steps)
        if self.loss_scaler._scale is not None:
            found["loss_scale"] = self.loss_scaler._scale.clone()
        return found

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Autocast, and no gradient exchange inside an accumulation window."""
        casts = self.cast_dtype is not torch.float32
        autocast = torch.autocast(self.device_type, self.cast_dtype if casts else None, casts)
        outer = super().optim_context(model)
        if isinstance(outer, nullcontext):
            return autocast
        stack = ExitStack()
        stack.enter_context(outer)
        stack.enter_context(autocast)
        return stack

    # -- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state with the loss scale's."""
        state = super().state_dict()
        if self.loss_scaler is not None:
            self._settle()
            state["loss_scaler"] = self.loss_scaler.state_dict()
            state["skipped_steps"] = [self._skipped_steps, self._skipped_in_row]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a saved state; one without a loss scale leaves the scale as it is."""
        saved = dict(state_dict)
        scale = saved.pop("loss_scaler", None)
        skips = saved.pop("skipped_steps", None)
        if scale and self.loss_scaler is not None:
            self.loss_scaler.load_state_dict(dict(scale))
        if skips is not None:
            self._skipped_steps, self._skipped_in_row = skips
        super().load_state_dict(saved)


def cast_dtype(dtype: str | torch.dtype | None, device_type: str) -> torch.dtype:
    """The dtype to cast to: as given, or what autocast uses on the device."""
    if dtype is None:
        return torch.get_autocast_dtype(device_type)
    found: torch.dtype = getattr(torch, dtype_name(dtype))
    return found

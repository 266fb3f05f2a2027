"""The optim wrapper: an optimizer with the verbs backward, clip, step, zero_grad, update_params."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from loopwright.optim import fast
from loopwright.optim.accumulate import plan
from loopwright.optim.clip import Clip, make_clip
from loopwright.optim.saved import by_name, for_layout
from loopwright.optim.values import whole
from loopwright.registry import OPTIM_WRAPPERS

_NOTHING: dict[str, Any] = {}


class BaseOptimWrapper:
    """What all optim wrappers are; `isinstance` of it is how a run knows one."""

    optimizer: Any

    def update_params(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def backward(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def zero_grad(self, **kwargs: Any) -> None:
        raise NotImplementedError

    def step(self, **kwargs: Any) -> None:
        raise NotImplementedError


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(BaseOptimWrapper):
    """An optimizer that accumulates, clips, steps and zeroes as it was told.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.5), clip_grad=dict(max_norm=1.0))
    >>> wrapper.update_params((weight * 3).sum())
    >>> round(weight.item(), 3), wrapper.metrics()["grad_norm"].item()
    (0.5, 3.0)

    `after_backward`, if set, is called after each backward; `check_loss` before it, with the loss
    as the model gave it: where it says False the batch is left out of its window. `last_update`
    says whether the last `update_params` stepped, `last_step_skipped` whether its step was dropped
    for an overflow.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ) -> None:
        accumulative_counts = whole(accumulative_counts, "accumulative_counts", least=1)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a torch Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.clip_grad_kwargs = clip_grad
        self.after_backward: Callable[[], object] | None = None
        self.check_loss: Callable[[Tensor], bool] | None = None
        self.last_update = False
        self.param_order: list[str] | None = None
        self.base_param_settings = _base_settings(optimizer)
        self._clip: Clip | None = None if clip_grad is None else make_clip(clip_grad, self._names)
        self._accumulative_counts = accumulative_counts
        self._inner_count = 0
        self._max_counts = -1
        self._grad_norm: Tensor | None = None
        self._flat: tuple[list[dict[str, Any]], int, list[Tensor]] | None = None
        self._own_zero_grad = type(optimizer).zero_grad is Optimizer.zero_grad

    # -- one update ------------------------------------------------------------------------

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Backward; and, at the end of an accumulation window, clip, step and zero."""
        if self.check_loss is not None and not self.check_loss(loss):
            self.last_update = False
            self._inner_count += 1
            if self._accumulative_counts == 1:
                return
        else:
            if self._accumulative_counts != 1:
                loss = self.scale_loss(loss)
            self.backward(loss)
        if self._accumulative_counts == 1 or self.should_update():
            self.step(**(step_kwargs or _NOTHING))
            self.zero_grad(**(zero_kwargs or _NOTHING))

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backward of a loss, counted."""
        self.last_update = False
        fast.backward(loss, kwargs)
        self._inner_count += 1
        if self.after_backward is not None:
            self.after_backward()

    def add_part(self, loss: Tensor) -> None:
        """Backward of a part of a batch, uncounted; `update_params` of its last part counts all."""
        before = self._inner_count
        if self.check_loss is None or self.check_loss(loss):
            self.backward(self.scale_loss(loss))
            self._inner_count = before

    def step(self, **kwargs: Any) -> None:
        """Clip, then step the optimizer."""
        if self._clip is not None:
            self._clip_grad()
        fast.step(self.optimizer, kwargs)
        self.last_update = True

    def zero_grad(self, **kwargs: Any) -> None:
        """Drop the gradients (`set_to_none=False` zeroes them)."""
        if kwargs or not self._own_zero_grad:
            self.optimizer.zero_grad(**kwargs)
            return
        for p in self._params():
            p.grad = None

    def _clip_grad(self) -> None:
        if self._clip is not None:
            self._grad_norm = self._clip(self._params())

    def _params(self) -> list[Tensor]:
        """All parameters in one list, gathered again when the groups change."""
        groups = self.optimizer.param_groups
        flat = self._flat
        if flat is None or flat[0] is not groups or flat[1] != len(groups):
            flat = self._flat = (groups, len(groups), self._in_model_order(groups))
        return flat[2]

    def _names(self) -> dict[int, str]:
        """The parameters' names by their ids, where the groups know them."""
        return {
            id(p): name
            for group in self.optimizer.param_groups
            for p, name in zip(group["params"], group.get("param_names", ()))
        }

    def _in_model_order(self, groups: list[dict[str, Any]]) -> list[Tensor]:
        """The parameters as the model holds them, so that norms do not depend on the grouping."""
        params = [p for group in groups for p in group["params"]]
        names = [n for group in groups for n in group.get("param_names", ())]
        order = self.param_order
        if order is None or len(names) != len(params) or set(order) != set(names):
            return params
        named = dict(zip(names, params, strict=True))
        return [named[name] for name in order]

    @property
    def last_step_skipped(self) -> bool:
        """Whether the last `update_params` dropped its step because a gradient overflowed."""
        return False

    def metrics(self) -> dict[str, Tensor | float]:
        """What the last update measured: `grad_norm` before clipping, as a tensor, unread."""
        return {} if self._grad_norm is None else {"grad_norm": self._grad_norm}

    # -- accumulation ----------------------------------------------------------------------

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Tell the wrapper where the run stands, so that its last window is weighted rightly."""
        self._inner_count, self._max_counts = init_counts, max_counts
        every = self._accumulative_counts
        if every == 1:
            return
        inside = init_counts % every != 0 and init_counts != max_counts
        if inside and all(p.grad is None for p in self._params()):
            warnings.warn(
                f"the run goes on at iteration {init_counts}, inside a window of {every} "
                "accumulated ones: without its gradients that window weighs less",
                stacklevel=2,
            )
        if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
            warnings.warn(
                f"accumulative_counts={every}, but batch norm still sees one batch at a time",
                stacklevel=2,
            )

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss by its share of the accumulation window."""
        divisor = plan(self._inner_count, self._accumulative_counts, self._max_counts).divisor
        return loss / divisor

    def should_update(self) -> bool:
        """Whether the backward just made ends its window."""
        return plan(self._inner_count - 1, self._accumulative_counts, self._max_counts).update

    def should_sync(self) -> bool:
        """Whether the backward to come ends its window, so that ranks must agree on gradients."""
        return plan(self._inner_count, self._accumulative_counts, self._max_counts).update

    @property
    def inner_count(self) -> int:
        """How many backwards were made."""
        return self._inner_count

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Where the forward runs: without gradient exchange between ranks inside a window."""
        if self._accumulative_counts == 1 or self.should_sync():
            return nullcontext()
        no_sync: Any = getattr(model, "no_sync", nullcontext)
        context: AbstractContextManager[Any] = no_sync()
        return context

    # -- values and state ------------------------------------------------------------------

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups; with two or more, MMEngine's group of base settings is the last."""
        groups = self.optimizer.param_groups
        return groups if self.base_param_settings is None else [*groups, self.base_param_settings]

    @property
    def defaults(self) -> dict[str, Any]:
        """The optimizer's defaults."""
        return self.optimizer.defaults

    def get_lr(self) -> dict[str, list[float]]:
        """The lr of every group, and `base_lr` where groups differ."""
        found = {"lr": [group["lr"] for group in self.optimizer.param_groups]}
        if self.base_param_settings is not None:
            found["base_lr"] = [self.base_param_settings["lr"]]
        return found

    def get_momentum(self) -> dict[str, list[float]]:
        """The momentum, or first beta, of every group."""
        return {"momentum": [_momentum(group) for group in self.optimizer.param_groups]}

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, by parameter name where names are known."""
        state = by_name(self.optimizer.state_dict())
        if self.base_param_settings is not None:
            state["base_param_settings"] = dict(self.base_param_settings)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a saved state of this or another grouping of the same parameters.

        States by name, by number, and MMEngine's with one group a parameter all load.
        """
        saved = dict(state_dict)
        base = saved.pop("base_param_settings", None)
        own = self.optimizer.state_dict()
        self.optimizer.load_state_dict(for_layout(saved, own, self.param_order))
        if base is not None and self.base_param_settings is not None:
            self.base_param_settings.update(base)


def _base_settings(optimizer: Optimizer) -> dict[str, Any] | None:
    if len(optimizer.param_groups) < 2:
        return None
    return {"params": [], **optimizer.defaults}


def _momentum(group: dict[str, Any]) -> float:
    return group["betas"][0] if "betas" in group else group.get("momentum", 0)

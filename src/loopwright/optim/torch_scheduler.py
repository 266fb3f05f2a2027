"""Schedulers of `torch.optim.lr_scheduler` by name, each stepped as often as it must be."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from inspect import signature
from typing import Any

from torch.optim import lr_scheduler, swa_utils

from loopwright.optim.plateau import followed
from loopwright.optim.torch_kinds import OURS, PER_VALIDATION
from loopwright.optim.torch_nested import NESTED, children_of, counts_updates
from loopwright.optim.values import known as known_options
from loopwright.registry import FUNCTIONS
from loopwright.registry.build import resolve

_CODE = ("lr_lambda", "scale_fn")


def torch_class(kind: Any, options: Mapping[str, Any]) -> type[Any] | None:
    """The torch scheduler class that a `type` means, or None where it is one of ours.

    MMEngine's names win; `OneCycleLR` is torch's where it is given torch's `max_lr`.
    """
    if isinstance(kind, type):
        return kind if issubclass(kind, lr_scheduler.LRScheduler) else None
    name = str(getattr(kind, "dotted", kind))
    module, _, bare = name.rpartition(".")
    if module in ("torch.optim.lr_scheduler", "torch.optim.swa_utils"):
        return class_named(bare)
    if name == "OneCycleLR" and "max_lr" in options:
        return lr_scheduler.OneCycleLR
    return class_named(name) if name not in OURS else None


def class_named(name: str) -> type[Any] | None:
    """The scheduler class of torch of a bare name, or None."""
    found = swa_utils.SWALR if name == "SWALR" else getattr(lr_scheduler, name, None)
    known = isinstance(found, type) and issubclass(found, lr_scheduler.LRScheduler)
    return found if known else None


def make(kind: type[Any], optimizer: Any, options: Mapping[str, Any]) -> Any:
    """A scheduler of torch, those that it holds made before it; TypeError for unknown options."""
    name, options = kind.__name__, dict(options)
    takes = [n for n in signature(kind).parameters if n != "optimizer"]
    known_options(options, takes, f"torch's {name}")
    if name in NESTED:
        children = children_of(name, options)
        kinds = [c.kind if isinstance(c.kind, type) else class_named(c.name) for c in children]
        held = [make(k, optimizer, c.options) for k, c in zip(kinds, children) if k is not None]
        if name == "ChainedScheduler":
            return kind(held, optimizer=optimizer)
        return kind(optimizer, held, **{k: v for k, v in options.items() if k != "schedulers"})
    for key in _CODE:
        if options.get(key) is not None:
            options[key] = _function(options[key])
    return kind(optimizer, **options)


def _function(given: Any) -> Any:
    """A function of a config: itself, a registered name, a dotted path, or a list of those."""
    if isinstance(given, list | tuple):
        return [_function(one) for one in given]
    return resolve(given, FUNCTIONS)


class TorchParamScheduler:
    """A scheduler of torch, stepped by the run: per update, per validation, or per `by_epoch`.

    OneCycleLR and CyclicLR count updates. ReduceLROnPlateau follows the metric `monitor`. All
    others do not say what they count, so `by_epoch` must be given. SequentialLR and
    ChainedScheduler take `schedulers`, a list of configs of torch's schedulers.
    """

    def __init__(
        self,
        kind: type[Any],
        optim_wrapper: Any,
        *,
        by_epoch: bool | None = None,
        monitor: str | None = None,
        **options: Any,
    ) -> None:
        name = kind.__name__
        self.need_val_args = name in PER_VALIDATION
        self.per_update = counts_updates(name, options)
        self.monitor = monitor
        self.optim_wrapper = optim_wrapper
        self.by_epoch = self._granularity(name, by_epoch)
        self.scheduler = make(kind, optim_wrapper.optimizer, options)
        # The run keeps the order; torch would warn where a window or an overflow delays the step.
        optim_wrapper.optimizer._opt_called = True

    def _granularity(self, name: str, by_epoch: bool | None) -> bool:
        if self.need_val_args:
            if self.monitor is None:
                raise ValueError(f"{name} needs `monitor`, the validation metric it follows")
            return True
        if self.per_update:
            if by_epoch:
                raise ValueError(f"{name} counts updates of the weights: it has no by_epoch=True")
            return False
        if by_epoch is None:
            raise ValueError(
                f"torch's {name} does not say what it counts: write by_epoch=True for epochs or "
                "by_epoch=False for iterations"
            )
        return by_epoch

    def step(self, metrics: Mapping[str, Any] | None = None) -> None:
        """One step, where it is this scheduler's turn."""
        if self.need_val_args:
            if metrics is not None:
                name = type(self.scheduler).__name__
                self.scheduler.step(followed(metrics, str(self.monitor), name))
            return
        if self.per_update and not self.optim_wrapper.last_update:
            return
        self.scheduler.step()

    def get_last_value(self) -> list[float]:
        """The lr of all groups now."""
        return [group["lr"] for group in self.optim_wrapper.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Torch's own state."""
        return dict(self.scheduler.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any], *, changed: str = "continue") -> None:
        """Load torch's own state; what is saved wins over a changed config, which is told."""
        name = type(self.scheduler).__name__
        for said in _changed(self.scheduler, state_dict, name):
            warnings.warn(f"{said}; torch's own schedule goes on as it was saved", stacklevel=3)
        self.scheduler.load_state_dict(dict(state_dict))


def _changed(scheduler: Any, saved: Mapping[str, Any], name: str) -> list[str]:
    """Options of a scheduler, and of those it holds, that were others in the saved run."""
    own = scheduler.state_dict()
    names = [n for n in signature(type(scheduler)).parameters if n in own and n in saved]
    names += ["_milestones"] if "_milestones" in own and "_milestones" in saved else []
    found = [
        f"{name}: {n.lstrip('_')} was {_plain(saved[n])!r}, is {_plain(own[n])!r}"
        for n in names
        if n not in ("last_epoch", "schedulers", "optimizer") and _plain(saved[n]) != _plain(own[n])
    ]
    pairs = zip(getattr(scheduler, "_schedulers", ()), saved.get("_schedulers", ()))
    return found + [
        said for held, state in pairs for said in _changed(held, state, type(held).__name__)
    ]


def _plain(value: Any) -> Any:
    """A value as a checkpoint gives it back: tuples are lists, counters plain dicts."""
    if isinstance(value, Mapping):
        return {str(k): v for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value

"""Schedulers of `torch.optim.lr_scheduler` by name, each stepped as often as it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import lr_scheduler

from loopwright.optim.kinds import nearest
from loopwright.optim.torch_kinds import OURS, PER_UPDATE, PER_VALIDATION


def torch_class(kind: Any, options: Mapping[str, Any]) -> type[Any] | None:
    """The torch scheduler class that a `type` means, or None where it is one of ours.

    MMEngine's names win; `OneCycleLR` is torch's where it is given torch's `max_lr`.
    """
    if isinstance(kind, type):
        return kind if issubclass(kind, lr_scheduler.LRScheduler) else None
    name = str(getattr(kind, "dotted", kind))
    if name.startswith("torch.optim.lr_scheduler."):
        return getattr(lr_scheduler, name.rpartition(".")[2], None)
    if name == "OneCycleLR" and "max_lr" in options:
        return lr_scheduler.OneCycleLR
    found = getattr(lr_scheduler, name, None)
    known = isinstance(found, type) and issubclass(found, lr_scheduler.LRScheduler)
    return found if known and name not in OURS else None


def wants_updates(name: str) -> bool:
    """Whether a torch scheduler counts updates of the weights."""
    return name in PER_UPDATE


class TorchParamScheduler:
    """A scheduler of torch, stepped by the run: per update, per validation, or per `by_epoch`.

    OneCycleLR and CyclicLR count updates. ReduceLROnPlateau follows the metric `monitor`. All
    others do not say what they count, so `by_epoch` must be given.
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
        self.per_update = name in PER_UPDATE
        self.monitor = monitor
        self.optim_wrapper = optim_wrapper
        self.by_epoch = self._granularity(name, by_epoch)
        self.scheduler = kind(optim_wrapper.optimizer, **options)

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
                self.scheduler.step(self._followed(metrics))
            return
        if self.per_update and not self.optim_wrapper.last_update:
            return
        self.scheduler.step()

    def _followed(self, metrics: Mapping[str, Any]) -> float:
        if self.monitor not in metrics:
            raise KeyError(
                f"ReduceLROnPlateau follows {self.monitor!r}, which the validation did not "
                f"give{nearest(str(self.monitor), metrics)}"
            )
        return float(metrics[str(self.monitor)])

    def get_last_value(self) -> list[float]:
        """The lr of all groups now."""
        return [group["lr"] for group in self.optim_wrapper.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Torch's own state."""
        return dict(self.scheduler.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any], *, changed: str = "continue") -> None:
        """Load torch's own state; what is saved wins over a changed config."""
        self.scheduler.load_state_dict(dict(state_dict))

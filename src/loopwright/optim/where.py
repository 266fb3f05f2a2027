"""Schedules as `f(where)`: a multiplier or value at a share of the run, from 0 to 1 (pure)."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from math import cos, pi
from typing import Any

_ROUNDING = 1e-9


class ParamScheduler:
    """A value at each share `where` of a run; outside [0, 1] the value of the nearer end."""

    def __call__(self, where: float) -> float:
        """The value at `where`."""
        return self.value(min(max(where, 0.0), 1.0))

    def value(self, where: float) -> float:
        """The value at `where`, which lies in [0, 1]."""
        raise NotImplementedError


class ConstantParamScheduler(ParamScheduler):
    """Always `value`."""

    def __init__(self, value: float) -> None:
        self._value = value

    def value(self, where: float) -> float:
        """The value."""
        return self._value


class CosineParamScheduler(ParamScheduler):
    """Half a cosine from `start_value` to `end_value`.

    >>> [CosineParamScheduler(1.0, 0.0)(w) for w in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, start_value: float, end_value: float) -> None:
        self._start, self._end = start_value, end_value

    def value(self, where: float) -> float:
        """The value at `where`."""
        return self._end + (self._start - self._end) * 0.5 * (1 + cos(pi * where))


class ExponentialParamScheduler(ParamScheduler):
    """`start_value * decay ** where`."""

    def __init__(self, start_value: float, decay: float) -> None:
        self._start, self._decay = start_value, decay

    def value(self, where: float) -> float:
        """The value at `where`."""
        return self._start * self._decay**where


class LinearParamScheduler(ParamScheduler):
    """A line from `start_value` to `end_value`."""

    def __init__(self, start_value: float, end_value: float) -> None:
        self._start, self._end = start_value, end_value

    def value(self, where: float) -> float:
        """The value at `where`."""
        return self._end * where + self._start * (1 - where)


class MultiStepParamScheduler(ParamScheduler):
    """One of `values` after another, changing at `milestones` counted in `num_updates`.

    Without milestones the stretches are of one length; without `num_updates` the last milestone
    is the end.

    >>> steps = MultiStepParamScheduler([1.0, 0.1, 0.01], milestones=[60, 80], num_updates=90)
    >>> [steps(i / 90) for i in (59, 60, 80, 90)]
    [1.0, 0.1, 0.01, 0.01]
    """

    def __init__(
        self,
        values: Sequence[float],
        num_updates: int | None = None,
        milestones: Sequence[int] | None = None,
    ) -> None:
        if num_updates is None and milestones is None:
            raise ValueError("give milestones or num_updates")
        if milestones is None:
            step = (num_updates or 0) / len(values)
            milestones = [int(step * i) for i in range(1, len(values))]
        elif num_updates is None:
            *milestones, num_updates = milestones
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"milestones must increase, got {list(milestones)}")
        if len(milestones) != len(values) - 1:
            raise ValueError(f"{len(values)} values need {len(values) - 1} milestones between them")
        self._values, self._milestones, self._total = list(values), list(milestones), num_updates

    def value(self, where: float) -> float:
        """The value at `where`."""
        update = int((where + _ROUNDING) * (self._total or 1))
        return self._values[bisect_right(self._milestones, update)]


class StepParamScheduler(ParamScheduler):
    """One of `values` after another, in stretches of one length."""

    def __init__(self, num_updates: float, values: Sequence[float]) -> None:
        if num_updates <= 0 or not values:
            raise ValueError(f"needs values and num_updates > 0, got {values!r}, {num_updates}")
        self._values = list(values)

    def value(self, where: float) -> float:
        """The value at `where`."""
        index = int((where + _ROUNDING) * len(self._values))
        return self._values[min(index, len(self._values) - 1)]


class StepWithFixedGammaParamScheduler(StepParamScheduler):
    """`num_decays` equal steps down from `base_value`, each times `gamma`."""

    def __init__(self, base_value: float, num_decays: int, gamma: float, num_updates: int) -> None:
        super().__init__(num_updates, [base_value * gamma**i for i in range(num_decays + 1)])


class PolynomialDecayParamScheduler(ParamScheduler):
    """`base_value * (1 - where) ** power`."""

    def __init__(self, base_value: float, power: float) -> None:
        self._base, self._power = base_value, power

    def value(self, where: float) -> float:
        """The value at `where`."""
        return self._base * (1 - where) ** self._power


class CompositeParamScheduler(ParamScheduler):
    """Schedules one after another, each for its share of `lengths`, which sum to 1.

    A schedule with interval scaling "rescaled" runs through its whole 0 to 1 in its share, one
    with "fixed" sees the share of the whole run.
    """

    def __init__(
        self,
        schedulers: Sequence[ParamScheduler],
        lengths: Sequence[float],
        interval_scaling: Sequence[str],
    ) -> None:
        if not len(schedulers) == len(lengths) == len(interval_scaling) or not schedulers:
            raise ValueError("schedulers, lengths and interval_scaling must be of one length")
        if abs(sum(lengths) - 1.0) >= 1e-3:
            raise ValueError(f"lengths must sum to 1, got {list(lengths)}")
        if wrong := set(interval_scaling) - {"fixed", "rescaled"}:
            raise ValueError(f"interval_scaling must be 'fixed' or 'rescaled', got {wrong.pop()!r}")
        self._parts = list(zip(schedulers, lengths, interval_scaling, strict=True))

    def value(self, where: float) -> float:
        """The value at `where`."""
        start = 0.0
        for i, (scheduler, length, scaling) in enumerate(self._parts):
            if where + _ROUNDING < start + length or i == len(self._parts) - 1:
                inside = where if scaling == "fixed" else (where - start) / length
                return scheduler(inside)
            start += length
        raise AssertionError("lengths cover [0, 1]")


class WarmupParamScheduler(CompositeParamScheduler):
    """Up from `warmup_factor` times a schedule's start to the schedule, in `warmup_length`.

    `warmup_length` is a share of the run. With `rescale_interval` the schedule begins after the
    warm-up, else it has been running all along. `warmup_method` is "linear" or "constant".
    """

    def __init__(
        self,
        scheduler: ParamScheduler,
        warmup_factor: float,
        warmup_length: float,
        warmup_method: str = "linear",
        rescale_interval: bool = False,
    ) -> None:
        if warmup_length >= 1:
            warnings.warn(
                f"the warm-up lasts {warmup_length:g} of the run: it never reaches the schedule",
                stacklevel=2,
            )
        end = scheduler(0.0) if rescale_interval else scheduler(warmup_length)
        warmup = _warmup(warmup_method, warmup_factor * scheduler(0.0), end)
        super().__init__(
            [warmup, scheduler],
            [warmup_length, 1 - warmup_length],
            ["rescaled", "rescaled" if rescale_interval else "fixed"],
        )


def _warmup(method: str, start: float, end: float) -> ParamScheduler:
    if method == "linear":
        return LinearParamScheduler(start, end)
    if method == "constant":
        return ConstantParamScheduler(start)
    raise ValueError(f"warmup_method must be 'linear' or 'constant', got {method!r}")


class LRMultiplier:
    """Sets every group's lr to its base times `multiplier(where)`, once an iteration.

    A saved run that goes on with another `max_iter` does not jump: what is left of the schedule
    is stretched over what is left of the run.

    >>> class Optimizer:
    ...     param_groups = [{"lr": 0.5}]
    >>> scheduler = LRMultiplier(Optimizer, LinearParamScheduler(1.0, 0.0), max_iter=2)
    >>> scheduler.step(); scheduler.get_last_lr()
    [0.25]
    """

    by_epoch = False

    def __init__(
        self, optimizer: Any, multiplier: ParamScheduler, max_iter: int, last_iter: int = -1
    ) -> None:
        if not callable(multiplier):
            raise TypeError(f"multiplier must be a ParamScheduler, got {multiplier!r}")
        if max_iter <= 0:
            raise ValueError(f"max_iter must be positive, got {max_iter}")
        self.optimizer, self.multiplier, self.max_iter = optimizer, multiplier, max_iter
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_iter
        self._anchor = (0, 0.0)
        self.step()

    def where(self) -> float:
        """The share of the schedule that has passed."""
        start, share = self._anchor
        left = self.max_iter - start
        return share + (1 - share) * (self.last_epoch - start) / left if left > 0 else 1.0

    def step(self) -> None:
        """Count an iteration and set the lr of all groups."""
        self.last_epoch += 1
        self._set()

    def _set(self) -> None:
        factor = self.multiplier(self.where())
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base * factor

    def get_lr(self) -> list[float]:
        """What the lr of all groups should be now."""
        factor = self.multiplier(self.where())
        return [base * factor for base in self.base_lrs]

    def get_last_lr(self) -> list[float]:
        """The lr of all groups now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The count, the base values, and where the schedule was stretched last."""
        return {
            "base_lrs": list(self.base_lrs),
            "last_epoch": self.last_epoch,
            "max_iter": self.max_iter,
            "anchor": list(self._anchor),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the saved count; with another `max_iter` the rest is stretched, and said so."""
        self.base_lrs = list(state_dict["base_lrs"])
        self.last_epoch = int(state_dict["last_epoch"])
        start, share = state_dict.get("anchor", (0, 0.0))
        self._anchor = (int(start), float(share))
        before = state_dict.get("max_iter", self.max_iter)
        if before != self.max_iter:
            now, self.max_iter = self.max_iter, before
            self._anchor = (self.last_epoch, min(self.where(), 1.0))
            self.max_iter = now
            warnings.warn(
                f"the run was {before} iterations long and is {now} now: the rest of the lr "
                f"schedule is stretched over the {now - self.last_epoch} that are left",
                stacklevel=2,
            )
        self._set()

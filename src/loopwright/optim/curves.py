"""The curve of lr, momentum or weight decay over a run, from the config alone (pure, no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loopwright.optim.accumulate import plan
from loopwright.optim.schedules import OneCycle
from loopwright.optim.specs import Run, Spec, read
from loopwright.optim.torch_kinds import Numbers


def curve(
    cfg: Any,
    groups: Sequence[dict[str, Any]],
    *,
    max_iters: int,
    max_epochs: int | None = None,
    epoch_length: int | None = None,
    accumulation: int = 1,
    at: Iterable[int] | None = None,
) -> dict[str, list[list[float]]]:
    """What a `param_scheduler` config makes of each group's entries, during each iteration.

    Groups are dicts of `lr` and, where they are scheduled, `momentum` or `betas` and
    `weight_decay`; the result has for each scheduled entry one list a group, of the values at
    the iterations `at` (default: all). Steps are made as a run makes them: schedules of
    iterations after each iteration, schedules of epochs after each epoch, which in a run by
    iterations (`max_epochs` 1) is the whole; torch's cycles after each update of the weights,
    of which there is one every `accumulation` iterations. What follows a metric does not move here.

    >>> step = dict(type="StepLR", step_size=1, gamma=0.5)
    >>> curve(step, [dict(lr=1.0)], max_iters=4, max_epochs=2, epoch_length=2)
    {'lr': [[1.0, 1.0, 0.5, 0.5]]}
    """
    specs = read(cfg, Run(max_iters, max_epochs, epoch_length))
    bases: dict[str, list[float]] = {}
    followers = [_Follower(spec, groups, bases) for spec in specs if spec.schedule is not None]
    values = {name: _before(name, specs, groups) for name in _names(specs)}
    kept: dict[str, list[list[float]]] = {name: [[] for _ in groups] for name in values}
    for follower in followers:
        follower.start(values)
    length = max_iters if (max_epochs or 1) == 1 or not epoch_length else epoch_length
    wanted = range(max_iters) if at is None else frozenset(at)
    by_iter = [f for f in followers if not f.by_epoch and not f.per_update]
    by_update = [f for f in followers if f.per_update]
    moving = [f for f in followers if not f.by_epoch]
    by_epoch = [f for f in followers if f.by_epoch]
    for it in range(max_iters):
        if it in wanted:
            _keep(kept, values)
        updated = not by_update or plan(it, accumulation, max_iters).update
        for follower in moving if updated else by_iter:
            follower.step(values)
        if (it + 1) % length == 0:
            for follower in by_epoch:
                follower.step(values)
    return kept


class _Follower:
    """One schedule with its count, moving a table of values."""

    def __init__(
        self, spec: Spec, groups: Sequence[dict[str, Any]], bases: dict[str, list[float]]
    ) -> None:
        self.name = str(spec.param)
        self.schedule: Any = spec.schedule
        self.begin, self.end, self.by_epoch = spec.begin, spec.end, spec.by_epoch
        self.per_update = spec.per_update
        self.count, self.made = -1, -1
        self.first = _spread(spec.start, len(groups))
        self.bases = _bases(spec, groups, bases)

    def start(self, values: dict[str, list[float]]) -> None:
        if self.first is not None:
            values[self.name][:] = self.first
        self.step(values)

    def step(self, values: dict[str, list[float]]) -> None:
        self.count += 1
        if not self.begin <= self.count < self.end:
            return
        self.made += 1
        schedule, made, row = self.schedule, self.made, values[self.name]
        if schedule.affine and schedule.move(made) is None:
            return
        row[:] = [schedule(value, made, base) for value, base in zip(row, self.bases)]


def _bases(
    spec: Spec, groups: Sequence[dict[str, Any]], bases: dict[str, list[float]]
) -> list[float]:
    """What a schedule counts from; a cycle leaves its own to the schedules after it."""
    own, name = _spread(spec.base, len(groups)), str(spec.param)
    if own is not None:
        return own
    if isinstance(spec.schedule, OneCycle):
        bases[name] = _cycle_bases(spec, len(groups))
    elif name not in bases:
        bases[name] = [_entry(group, name) for group in groups]
    return bases[name]


def _spread(numbers: Numbers | None, groups: int) -> list[float] | None:
    """One number for every group, from one for all or one for each."""
    if numbers is None:
        return None
    listed = [numbers] if isinstance(numbers, int | float) else list(numbers)
    return [float(n) for n in (listed * groups if len(listed) == 1 else listed[:groups])]


def _cycle_bases(spec: Spec, groups: int) -> list[float]:
    peak = spec.options["eta_max"]
    peaks = list(peak) if isinstance(peak, list | tuple) else [peak] * groups
    return [value / spec.options.get("div_factor", 25.0) for value in peaks[:groups]]


def _before(name: str, specs: Sequence[Spec], groups: Sequence[dict[str, Any]]) -> list[float]:
    """An entry before any schedule; one that the first schedule sets need not be there."""
    first = next((s.start for s in specs if s.param == name and s.schedule is not None), None)
    return _spread(first, len(groups)) or [_entry(group, name) for group in groups]


def _names(specs: Sequence[Spec]) -> list[str]:
    return list(dict.fromkeys(["lr", *(str(s.param) for s in specs if s.schedule is not None)]))


def _entry(group: dict[str, Any], name: str) -> float:
    if name == "momentum" and "momentum" not in group and "betas" in group:
        return float(group["betas"][0])
    if name not in group:
        raise KeyError(f"a schedule moves {name!r}, which no group has: {', '.join(group)}")
    return float(group[name])


def _keep(kept: dict[str, list[list[float]]], values: dict[str, list[float]]) -> None:
    for name, row in values.items():
        for series, value in zip(kept[name], row):
            series.append(value)

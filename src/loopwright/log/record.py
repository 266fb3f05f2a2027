"""LogRecord: a storage summarised at one moment; every value put enters one or is counted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from loopwright.log.history import HistoryBuffer
from loopwright.log.pictures import Histogram, Picture
from loopwright.log.storage import EventStorage

__all__ = ["CustomStatistic", "LogRecord", "Point", "RecordSpec", "is_timing", "make_record"]

TIMING_NAMES = frozenset(
    {"time", "data_time", "rank_data_time", "last_time", "last_data_time", "eta", "eta_seconds"}
    | {"memory", "max_mem", "timestamp", "wall_time"}
)


class _Position(Protocol):
    """What a record reads of a Progress."""

    iter: int
    epoch: int
    max_iters: int | None
    max_epochs: int | None


@dataclass(frozen=True)
class CustomStatistic:
    """One more entry of a record: `method_name` over a window of the scalar `data_src`.

    `window_size` is a number of values, "epoch", "global", or None for the record's own.
    Without `log_name` the entry replaces the ordinary one.
    """

    data_src: str
    method_name: str
    log_name: str | None = None
    window_size: int | str | None = None
    arguments: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class RecordSpec:
    """How to summarise.

    `tag`: "train" takes every new value; "val" and "test" take those under `val/` and `test/`.
    `statistic`: "median" over the last `window` iterations, or "mean" over the last `window`
    values. It applies to names that match `mean_pattern`, or when that is None to those whose
    smoothing hint allows it; of the others the last value is taken. `offset` is added to
    iterations and epochs (1 where finished iterations are counted, 0 where indices are).
    `reader` names the cursor that remembers what was written; two readers see everything each.
    """

    tag: str = "train"
    window: int = 20
    statistic: str = "median"
    mean_pattern: str | None = None
    offset: int = 0
    reader: str = "log"
    custom: tuple[CustomStatistic, ...] = ()


@dataclass(frozen=True)
class Point:
    """One value that keeps its own iteration: put too rarely, or too late, to be summarised."""

    name: str
    value: float
    iter: int
    epoch: int
    step: int | None
    samples: int | None
    tag: str = "train"


@dataclass(frozen=True)
class LogRecord:
    """What is handed to writers. `timing` holds wall-clock figures, which no two runs share.

    `counts` says for each name how many values this record accounts for.
    """

    iter: int
    epoch: int
    tag: str = "train"
    step: int | None = None
    samples: int | None = None
    scalars: Mapping[str, float] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    images: tuple[Picture, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    max_iters: int | None = None
    max_epochs: int | None = None
    wall_time: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether nothing new was put since the record before."""
        return not (self.scalars or self.timing or self.points or self.images or self.histograms)

    def point_groups(self) -> list[list[Point]]:
        """The points by iteration, no name twice in a group: a second value gets its own group."""
        groups: dict[tuple[int, int], dict[str, Point]] = {}
        for point in self.points:
            turn = 0
            while point.name in groups.setdefault((point.iter, turn), {}):
                turn += 1
            groups[point.iter, turn][point.name] = point
        return [list(group.values()) for _, group in sorted(groups.items())]


@lru_cache(maxsize=4096)
def is_timing(name: str) -> bool:
    """Whether a scalar tells wall-clock time or memory: such go into the timing file.

    >>> is_timing("val/data_time"), is_timing("eta_seconds"), is_timing("time_steps_loss")
    (True, True, False)
    """
    last = name.rpartition("/")[2]
    return last in TIMING_NAMES or last.endswith(("_time", "_seconds", "_memory"))


def make_record(storage: EventStorage, progress: _Position, spec: RecordSpec) -> LogRecord:
    """Everything put since this reader's last record, summarised now.

    A name put by `put_scalar` at most every other iteration is not summarised: each of its values
    keeps its own iteration (`points`), also one put after the last record at the same iteration.
    Everything else is summarised, and all values are counted.

    Training is placed where the storage is, evaluation where the progress is: its finished
    iterations and epochs.
    """
    storage.flush()
    cursor = storage.cursors.setdefault(spec.reader, _new_cursor(storage))
    fresh = _fresh(storage, cursor["seen"], spec.tag)
    place = _Placing(storage, progress, spec, cursor)
    span = place.iter - cursor["iter"]
    scalars: dict[str, float] = {}
    points: list[Point] = []
    for name, (history, count) in fresh.items():
        shown = _shown(name, spec.tag)
        rare = 2 * count <= span or (count == 1 and history.tail_iters(1)[0] != place.iter)
        alone = rare and storage.put_alone(name) and not is_timing(name)
        if spec.tag == "train" and alone:
            scalars |= _own_iterations(shown, history, count, place, points)
        else:
            scalars[shown] = _summary(storage, name, shown, history, count, spec)
    scalars |= _customised(storage, fresh, spec)
    record = place.record(scalars, points, {n: c for n, (_, c) in fresh.items()})
    cursor["seen"].update((name, history.number) for name, (history, _) in fresh.items())
    if spec.tag == "train":
        cursor.update(
            iter=place.iter,
            optim_step=storage.optim_step,
            samples=storage.samples,
            images=storage.images.number,
            histograms=storage.histograms.number,
        )
    return record


def _new_cursor(storage: EventStorage) -> dict[str, Any]:
    """Before the first record; `iter` is that of the record before, hence start - 1."""
    first = {"iter": storage.start_iter - 1, "optim_step": None, "samples": None}
    return {**first, "seen": {}, "images": 0, "histograms": 0}


def _fresh(
    storage: EventStorage, seen: Mapping[str, int], tag: str
) -> dict[str, tuple[HistoryBuffer, int]]:
    """The histories with unwritten values and how many; evaluation tags take their own alone."""
    prefix = "" if tag == "train" else tag + "/"
    result = {}
    for name, history in storage.histories().items():
        count = history.number - seen.get(name, 0)
        if count > 0 and name.startswith(prefix):
            result[name] = (history, count)
    return result


def _shown(name: str, tag: str) -> str:
    """`train/loss` is told as `loss` in a train record."""
    return name.removeprefix(tag + "/")


def _own_iterations(
    shown: str, history: HistoryBuffer, count: int, place: _Placing, points: list[Point]
) -> dict[str, float]:
    """Values of a rare name: those of the record's iteration returned, the others as points."""
    now = {}
    for value, iteration in zip(history.tail(count), history.tail_iters(count)):
        if iteration == place.iter:
            now[shown] = value
        else:
            points.append(place.point(shown, value, iteration))
    return now


@lru_cache(maxsize=4096)
def matches(pattern: str, name: str) -> bool:
    return re.search(pattern, name) is not None


def _summary(
    storage: EventStorage,
    name: str,
    shown: str,
    history: HistoryBuffer,
    count: int,
    spec: RecordSpec,
) -> float:
    """The window statistic of a smoothed name, the last value of another.

    In an evaluation the window is what was put since the one before.
    """
    if spec.mean_pattern is None:
        smoothed = storage.smoothing_hint(name)
    else:
        smoothed = matches(spec.mean_pattern, shown)
    if not smoothed:
        return history.current()
    if spec.tag != "train":
        return history.mean(count)
    storage.want_window(spec.window)
    if spec.statistic == "mean":
        return history.mean(spec.window)
    return history.median(history.count_since(spec.window))


def _customised(
    storage: EventStorage,
    fresh: Mapping[str, tuple[HistoryBuffer, int]],
    spec: RecordSpec,
) -> dict[str, float]:
    """The entries that `spec.custom` asks for, of names that have new values."""
    result: dict[str, float] = {}
    for wish in spec.custom:
        source = wish.data_src
        name = source if source in fresh else f"{spec.tag}/{source}"
        if name in fresh:
            value = custom_value(storage, fresh[name][0], wish, spec.window)
            result[wish.log_name or _shown(name, spec.tag)] = value
    return result


def custom_value(
    storage: EventStorage, history: HistoryBuffer, wish: CustomStatistic, window: int
) -> float:
    """One custom statistic; 'epoch' and 'global' means and extremes are exact at any length."""
    size = wish.window_size if wish.window_size is not None else window
    method, arguments = wish.method_name, dict(wish.arguments)
    if method == "current":
        return history.current()
    if isinstance(size, int):
        storage.want_window(size)
        return float(history.statistics(method, size, **arguments))
    totals = history.epoch if size == "epoch" else history.ever
    exact = {"mean": totals.mean(), "max": totals.largest, "min": totals.smallest}
    if method in exact and totals.number:
        return exact[method]
    return float(history.statistics(method, max(totals.number, 1), **arguments))


class _Placing:
    """Where in the run a value lies; between two records steps and samples grow evenly."""

    def __init__(
        self,
        storage: EventStorage,
        progress: _Position,
        spec: RecordSpec,
        cursor: Mapping[str, Any],
    ) -> None:
        self.storage, self.progress, self.spec, self.cursor = storage, progress, spec, cursor
        self.iter = storage.iter if spec.tag == "train" else progress.iter

    def point(self, name: str, value: float, iteration: int) -> Point:
        """The value at its own iteration, epoch, optimizer step and sample count."""
        step = self._between("optim_step", self.storage.optim_step, iteration)
        samples = self._between("samples", self.storage.samples, iteration)
        offset = self.spec.offset
        epoch = self._epoch(iteration) + offset
        return Point(name, value, iteration + offset, epoch, step, samples, self.spec.tag)

    def _between(self, key: str, now: int | None, iteration: int) -> int | None:
        before, first = self.cursor[key], self.cursor["iter"]
        span = self.iter - first
        if now is None or span <= 0:
            return now
        before = before if before is not None else 0
        return before + round((now - before) * min(max(iteration - first, 0), span) / span)

    def _epoch(self, iteration: int) -> int:
        for first, epoch in reversed(self.storage.epochs):
            if first <= iteration:
                return epoch
        return self.progress.epoch

    def record(
        self, values: Mapping[str, float], points: Iterable[Point], counts: Mapping[str, int]
    ) -> LogRecord:
        """The finished record, wall-clock figures apart."""
        storage, progress, spec = self.storage, self.progress, self.spec
        train = spec.tag == "train"
        return LogRecord(
            iter=self.iter + spec.offset,
            epoch=(self._epoch(self.iter) if train else progress.epoch) + spec.offset,
            tag=spec.tag,
            step=storage.optim_step,
            samples=storage.samples,
            scalars={n: v for n, v in values.items() if not is_timing(n)},
            timing={n: v for n, v in values.items() if is_timing(n)},
            points=tuple(sorted(points, key=lambda p: p.iter)),
            images=tuple(storage.images.since(self.cursor["images"])) if train else (),
            histograms=tuple(storage.histograms.since(self.cursor["histograms"])) if train else (),
            counts=counts,
            max_iters=progress.max_iters,
            max_epochs=progress.max_epochs,
            wall_time=time.time(),
        )

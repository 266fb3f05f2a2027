"""HistoryBuffer: the recent values of one scalar and running totals over all of them."""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import reduce
from itertools import islice
from operator import add
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy

__all__ = ["HistoryBuffer", "Totals"]


class Totals:
    """Sum, number, smallest and largest of the values since a moment (an epoch, the whole run)."""

    __slots__ = ("largest", "number", "smallest", "total", "weight")

    def __init__(self) -> None:
        self.total, self.weight, self.number = 0.0, 0.0, 0
        self.smallest, self.largest = math.inf, -math.inf

    def add(self, values: Sequence[float], counts: Sequence[float] | None = None) -> None:
        """Take more values, one after the other: the sum does not depend on how they are batched.

        A NaN enters the sum but neither extreme.
        """
        self.total = reduce(add, values, self.total)
        self.weight = (
            self.weight + len(values) if counts is None else reduce(add, counts, self.weight)
        )
        self.number += len(values)
        if self.total != self.total:
            values = [v for v in values if v == v]
        self.smallest = min(self.smallest, min(values, default=math.inf))
        self.largest = max(self.largest, max(values, default=-math.inf))

    def plus(self, later: Totals) -> Totals:
        """These and later ones together."""
        both = Totals()
        both.total, both.weight = self.total + later.total, self.weight + later.weight
        both.number = self.number + later.number
        both.smallest = min(self.smallest, later.smallest)
        both.largest = max(self.largest, later.largest)
        return both

    def mean(self) -> float:
        """Sum of values over sum of counts."""
        return self.total / self.weight if self.weight else math.nan

    def state(self) -> list[float]:
        """Five plain numbers."""
        return [self.total, self.weight, self.number, self.smallest, self.largest]

    def restore(self, state: Sequence[float]) -> None:
        """Take back what `state` gave."""
        self.total, self.weight = float(state[0]), float(state[1])
        self.number = int(state[2])
        self.smallest, self.largest = float(state[3]), float(state[4])


class HistoryBuffer:
    """The last `max_length` values of a scalar with the iteration of each; an update is O(1).

    Carries both vocabularies: `mean/max/min/current/statistics` (a window counts values) and
    `median/avg/latest/values/global_avg` (as detectron2 names them).

    >>> buffer = HistoryBuffer([1.0, 2.0, 6.0])
    >>> buffer.mean(), buffer.mean(2), buffer.current(), buffer.median(2)
    (3.0, 4.0, 6.0, 4.0)
    """

    _statistics: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self,
        log_history: Iterable[float] = (),
        count_history: Iterable[float] = (),
        max_length: int = 1_000_000,
    ) -> None:
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        self.max_length = max_length
        self.past, self.epoch = Totals(), Totals()
        self._values, self._iters = array("d"), array("q")
        self._counts: array[float] | None = None
        values, counts = list(log_history), list(count_history)
        if counts and len(counts) != len(values):
            raise ValueError(f"{len(values)} values came with {len(counts)} counts")
        for value, count in zip(values, counts or [1] * len(values)):
            self.update(value, count)

    def __len__(self) -> int:
        return min(len(self._values), self.max_length)

    @property
    def number(self) -> int:
        """How many values were ever put, kept or not."""
        return self.past.number + self.epoch.number

    @property
    def ever(self) -> Totals:
        """Totals over every value ever put."""
        return self.past.plus(self.epoch)

    def begin_epoch(self) -> None:
        """Start the totals of an epoch again."""
        self.past = self.ever
        self.epoch = Totals()

    def update(self, log_val: float, count: float = 1, cur_iter: int | None = None) -> None:
        """Append a value; `count` is what it counts for in a mean (the number of summed items)."""
        if count != 1 and self._counts is None:
            self._counts = array("d", [1.0] * len(self._values))
        self.extend([float(log_val)], [self.number if cur_iter is None else cur_iter], [count])

    def extend(
        self, values: Sequence[float], iters: Sequence[int], counts: Sequence[float] | None = None
    ) -> None:
        """Append several values at once, each with its iteration."""
        self._values.extend(values)
        self._iters.extend(iters)
        if self._counts is not None:
            self._counts.extend(counts or [1.0] * len(values))
        self.epoch.add(values, counts)
        if len(self._values) >= 2 * self.max_length:
            self._trim()

    def _trim(self) -> None:
        """Forget the older half; rare enough that an update stays O(1)."""
        surplus = len(self._values) - self.max_length
        for column in (self._values, self._iters, self._counts):
            if column is not None:
                del column[:surplus]

    # -- windows that count values ---------------------------------------------------------------

    def tail(self, window_size: int | None = None) -> array[float]:
        """The last `window_size` kept values (all kept ones when None or not positive)."""
        size = len(self)
        if window_size is not None and 0 < window_size < size:
            size = window_size
        return self._values[len(self._values) - size :]

    def tail_iters(self, window_size: int | None = None) -> array[int]:
        """The iterations of `tail(window_size)`."""
        return self._iters[len(self._iters) - len(self.tail(window_size)) :]

    def mean(self, window_size: int | None = None) -> float:
        """Sum of the last values over the sum of their counts; None means every value ever put."""
        self._need_a_value()
        if window_size is None:
            return self.ever.mean()
        window = self.tail(window_size)
        weight = len(window) if self._counts is None else sum(self._counts[-len(window) :])
        return _sum(window) / weight

    def max(self, window_size: int | None = None) -> float:
        """The largest of the last values; None means of every value ever put."""
        self._need_a_value()
        return self.ever.largest if window_size is None else max(self.tail(window_size))

    def min(self, window_size: int | None = None) -> float:
        """The smallest of the last values; None means of every value ever put."""
        self._need_a_value()
        return self.ever.smallest if window_size is None else min(self.tail(window_size))

    def current(self) -> float:
        """The last value."""
        self._need_a_value()
        return self._values[-1]

    def median(self, window_size: int | None = None) -> float:
        """The median of the last values, NaN when one of them is."""
        self._need_a_value()
        window = self.tail(window_size)
        return math.nan if any(v != v for v in window) else float(statistics.median(window))

    # -- windows that count iterations (detectron2) ----------------------------------------------

    def count_since(self, window_size: int) -> int:
        """How many kept values were put in the last `window_size` iterations."""
        if not self._iters:
            return 0
        first, count = self._iters[-1] - window_size, 0
        for iteration in islice(reversed(self._iters), len(self)):
            if iteration <= first:
                break
            count += 1
        return count

    def avg(self, window_size: int) -> float:
        """The plain mean of the last `window_size` values."""
        self._need_a_value()
        window = self.tail(window_size)
        return _sum(window) / len(window)

    def global_avg(self) -> float:
        """The mean of every value ever put."""
        return self.mean()

    def latest(self) -> float:
        """The last value."""
        return self.current()

    def values(self) -> list[tuple[float, int]]:
        """The kept (value, iteration) pairs, oldest first."""
        return list(zip(self.tail(), self.tail_iters()))

    # -- statistics by name ----------------------------------------------------------------------

    @property
    def data(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The kept values and their counts as two numpy arrays of shape (n,)."""
        import numpy

        values = numpy.array(self.tail())
        counts = numpy.ones_like(values)
        if self._counts is not None and len(values):
            counts = numpy.array(self._counts[-len(values) :])
        return values, counts

    @classmethod
    def register_statistics(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Make `method(buffer, *args)` available to `statistics` under its own name.

        >>> @HistoryBuffer.register_statistics
        ... def span(buffer, window_size=None):
        ...     return buffer.max(window_size) - buffer.min(window_size)
        >>> HistoryBuffer([1.0, 5.0]).statistics("span")
        4.0
        """
        known = cls._statistics.get(method.__name__)
        if known is not None and known is not method and known.__module__ != method.__module__:
            raise ValueError(f"the statistic {method.__name__!r} is registered already: {known}")
        cls._statistics[method.__name__] = method
        return method

    @classmethod
    def misspelt(cls, name: str) -> str | None:
        """The statistic that a name almost is; None for one that is there or may come yet."""
        near = get_close_matches(str(name), cls._statistics, n=1, cutoff=0.75)
        return near[0] if near and name not in cls._statistics else None

    def statistics(self, method_name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the statistic of that name: one of ours or one registered.

        Raises:
            KeyError: no such statistic; the message lists those there are.
        """
        method = self._statistics.get(method_name)
        if method is None:
            names = ", ".join(sorted(self._statistics))
            raise KeyError(f"{method_name!r} is no statistic of a history; there are: {names}")
        return method(self, *args, **kwargs)

    # -- state -----------------------------------------------------------------------------------

    def state_dict(self, window_size: int) -> dict[str, Any]:
        """Plain data: the totals and the last `window_size` values, never the whole history."""
        window = self.tail(window_size)
        counts = None if self._counts is None else list(self._counts[-len(window) :])
        return {
            "values": list(window),
            "iters": list(self.tail_iters(window_size)),
            "counts": counts,
            "past": self.past.state(),
            "epoch": self.epoch.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._values = array("d", state["values"])
        self._iters = array("q", state["iters"])
        counts = state["counts"]
        self._counts = None if counts is None else array("d", counts)
        self.past.restore(state["past"])
        self.epoch.restore(state["epoch"])

    def _need_a_value(self) -> None:
        if not self._values:
            raise ValueError("the history is empty: no value was put yet")


def _sum(values: array[float]) -> float:
    """`math.fsum`, which does not depend on the order; a plain sum where it refuses (inf - inf)."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


for _method in ("mean", "max", "min", "current", "median", "global_avg"):
    HistoryBuffer.register_statistics(getattr(HistoryBuffer, _method))

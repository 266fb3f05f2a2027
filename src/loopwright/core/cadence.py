"""When things are due: pure functions of a count."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def every(done: int, n: int, start: int = 0) -> bool:
    """Whether the ``done``-th unit (1-based) is a multiple of ``n`` counted from ``start``.

    ``n <= 0`` means never.

    >>> [k for k in range(1, 13) if every(k, 5)]
    [5, 10]
    >>> [k for k in range(1, 13) if every(k, 5, start=3)]
    [3, 8]
    """
    since = done - start
    return n > 0 and since >= 0 and done > 0 and since % n == 0


def interval_at(done: int, interval: int, dynamic: Sequence[tuple[int, int]] = ()) -> int:
    """The validation interval in force after ``done`` finished units.

    ``dynamic`` holds (milestone, interval) pairs in rising order; an interval is in force for the
    units after its milestone, one unit earlier as MMEngine counts: looked up with ``done + 1``.

    >>> interval_at(5, 5, [(6, 2)]), interval_at(4, 5, [(6, 2)])
    (2, 5)
    """
    milestones = [0, *(milestone for milestone, _ in dynamic)]
    intervals = [interval, *(value for _, value in dynamic)]
    return intervals[bisect_right(milestones, done + 1) - 1]


def val_due(done: int, *, interval: int, begin: int = 1, last: int | None = None) -> bool:
    """Whether to validate after ``done`` finished units: on the interval and at the very end.

    >>> [k for k in range(1, 8) if val_due(k, interval=3, last=7)]
    [3, 6, 7]
    """
    return done >= begin and ((interval > 0 and done % interval == 0) or done == last)


def next_val(
    done: int, last: int, interval: int, *, begin: int = 1, dynamic: Sequence[tuple[int, int]] = ()
) -> int:
    """The count after ``done`` at which the next validation is due (``last`` at the latest).

    >>> next_val(0, 12, 5), next_val(0, 12, 5, dynamic=[(6, 2)])
    (5, 6)
    """
    for count in range(done + 1, last):
        if val_due(count, interval=interval_at(count, interval, dynamic), begin=begin, last=last):
            return count
    return last

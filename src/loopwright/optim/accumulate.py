"""Gradient accumulation as a rule: when a backward also updates, and what divides its loss."""

from __future__ import annotations

from typing import NamedTuple


class Turn(NamedTuple):
    """What one backward is worth: whether the weights are updated after it, and the divisor."""

    update: bool
    divisor: int


def plan(count: int, every: int, total: int = -1) -> Turn:
    """The turn of the backward that follows `count` others, in windows of `every`.

    With `total` known, the last window may be shorter: it still updates, and its losses are
    divided by its own length, so that no batch is lost and none weighs more than in a full one.

    >>> [plan(i, 4, 10) for i in (0, 3, 8, 9)][1:]
    [Turn(update=True, divisor=4), Turn(update=False, divisor=2), Turn(update=True, divisor=2)]
    """
    remainder = total % every if total > 0 else 0
    done = count + 1
    divisor = remainder if remainder and count >= total - remainder else every
    return Turn(done % every == 0 or done == total, divisor)


def updates(every: int, total: int) -> int:
    """How many updates `total` backwards make.

    >>> updates(4, 10)
    3
    """
    return -(-total // every)

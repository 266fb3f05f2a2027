"""Every hook point, in the order a run says them, and the names of the priorities."""

from __future__ import annotations

from enum import IntEnum

from loopwright.core.nearest import nearest_or_all

POINTS: tuple[str, ...] = (
    "before_run",
    "after_load_checkpoint",
    "before_train",
    "before_train_epoch",
    "before_step",
    "before_train_iter",
    "after_backward",
    "after_train_iter",
    "after_step",
    "after_train_epoch",
    "before_val",
    "before_val_epoch",
    "before_val_iter",
    "after_val_iter",
    "after_val_epoch",
    "after_val",
    "before_save_checkpoint",
    "after_train",
    "before_test",
    "before_test_epoch",
    "before_test_iter",
    "after_test_iter",
    "after_test_epoch",
    "after_test",
    "after_run",
)


class Priority(IntEnum):
    """Names for the order of hooks: a lower number runs first."""

    HIGHEST = 0
    VERY_HIGH = 10
    HIGH = 30
    ABOVE_NORMAL = 40
    NORMAL = 50
    BELOW_NORMAL = 60
    LOW = 70
    VERY_LOW = 90
    LOWEST = 100


def get_priority(priority: int | str | Priority) -> int:
    """The number of a priority given as a name or as an integer in 0..100.

    Raises ValueError for an unknown name (naming the nearest) or a number outside the range.

    >>> get_priority("ABOVE_NORMAL"), get_priority(7)
    (40, 7)
    """
    if isinstance(priority, bool) or not isinstance(priority, int | str):
        raise TypeError(f"priority must be an int or a name, got {priority!r}")
    if isinstance(priority, int):
        if not 0 <= priority <= 100:
            raise ValueError(f"priority must be in 0..100, got {priority}")
        return int(priority)
    names = Priority.__members__
    if priority.upper() in names:
        return int(names[priority.upper()])
    raise ValueError(f"unknown priority {priority!r}{nearest_or_all(priority.upper(), names)}")

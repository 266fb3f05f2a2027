"""Finding the metric that a hook watches among those of one validation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def find_metric(key: str, metrics: Iterable[str], *, several: bool = False) -> str | None:
    """The evaluated metric that ``key`` means: its name, or its last part where that is unique.

    With ``several`` validation sets only the whole name counts, for not all are always evaluated.

    >>> find_metric("mIoU", ["val/mIoU", "val/mAcc"])
    'val/mIoU'
    >>> find_metric("mIoU", ["city/mIoU"], several=True) is None
    True
    """
    names = list(metrics)
    if key in names:
        return key
    ends = [name for name in names if name.rpartition("/")[2] == key]
    return ends[0] if len(ends) == 1 and not several else None


def has_several(runner: Any) -> bool:
    """Whether the run validates on several sets."""
    return len(getattr(getattr(runner, "val_loop", None), "sets", ())) > 1


def is_left_out(runner: Any, key: str) -> bool:
    """Whether the metric belongs to a validation set that this validation left out."""
    skipped = getattr(getattr(runner, "val_loop", None), "skipped", ())
    return any(key.startswith(f"{prefix}/") for prefix in skipped)

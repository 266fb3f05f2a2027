"""How many there are of something, where that is known."""

from __future__ import annotations

from typing import Any


def length_of(things: Any) -> int | None:
    """The length of a loader or a dataset; None where it cannot tell.

    >>> length_of([1, 2]), length_of(iter([1, 2]))
    (2, None)
    """
    try:
        return len(things)
    except TypeError:
        return None

"""Where a value of a config was written, for the end of a message."""

from __future__ import annotations

from typing import Any

from loopwright.config import origin_of


def written(cfg: Any, *path: str) -> str:
    """` (file:line)` of the value at a path of keys, or nothing where that is not known."""
    *outer, last = path
    for key in outer:
        cfg = cfg[key]
    origin = origin_of(cfg, last)
    return f" ({origin})" if origin else ""

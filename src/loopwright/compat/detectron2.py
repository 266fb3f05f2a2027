"""Which of our parts answer detectron2's module and function names."""

from __future__ import annotations

from loopwright.compat.finder import Alias


def aliases() -> dict[str, Alias]:
    """The modules answered for detectron2."""
    return {}

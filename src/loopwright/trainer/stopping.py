"""What saves when a training is stopped, and when the hooks that save do so."""

from __future__ import annotations

from typing import Any

from loopwright import dist

UNSAVED = 143  # what a SIGTERM gives: stopped in order, but nothing to go on from


def saver_of(trainer: Any) -> tuple[Any, str] | None:
    """The trainer's checkpointer, or the first that a hook has, with the prefix of its files."""
    for owner in (trainer, *trainer._hooks):
        saver = getattr(owner, "checkpointer", None)
        if hasattr(saver, "save"):
            return saver, getattr(owner, "file_prefix", "model")
    return None


def save_periods(hooks: Any) -> set[int]:
    """The periods of the hooks that save, on whatever rank they are."""
    own = [int(getattr(hook, "period", 0)) for hook in hooks if hasattr(hook, "checkpointer")]
    return {period for rank in dist.all_gather_object(own) for period in rank if period > 0}

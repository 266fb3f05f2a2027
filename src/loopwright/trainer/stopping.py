"""Stopping and saving on request: whose wish counts, agreed by all ranks, and what saves."""

from __future__ import annotations

from typing import Any

import torch

from loopwright import dist
from loopwright.core import Requests

UNSAVED = 143  # what a SIGTERM gives: stopped in order, but nothing to go on from


def share(heard: Requests, granted: Requests, *, alone: bool) -> None:
    """Hand on what was heard; with several ranks, what any of them heard or was asked by a hook.

    A signal may come at any moment, so a rank must act on what all agreed on, not on its own flag.

    >>> heard, granted = Requests(), Requests()
    >>> heard.halt("SIGTERM")
    >>> share(heard, granted, alone=True)
    >>> granted.halting
    'SIGTERM'
    """
    wishes = [
        heard.saving or granted.saving,
        heard.halting or granted.halting,
        granted.stopping,
    ]
    said = [wish is not None for wish in wishes]
    if not alone:
        flags = torch.tensor(said, dtype=torch.float32, device=dist.get_comm_device())
        dist.all_reduce(flags, op="max")
        said = [flag > 0 for flag in flags.tolist()]
    saves, halts, stops = said
    if saves:
        granted.save(wishes[0] or "another rank")
        heard.saved()
    if halts:
        granted.halt(wishes[1] or "another rank")
    if stops:
        granted.stop(wishes[2] or "another rank")


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

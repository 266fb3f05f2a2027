"""Going on with saved schedules, also where the config has more, fewer or other ones now."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any


def resume_schedulers(
    schedulers: Sequence[Any],
    states: Sequence[dict[str, Any]],
    *,
    iter: int,
    epoch: int,
    changed: str = "continue",
) -> None:
    """Load saved states in order; what has none starts counting where the run stands.

    `iter` and `epoch` are how many are done. A saved schedule that the config does not have any
    more is named in a warning.
    """
    for scheduler, state in zip(schedulers, states):
        scheduler.load_state_dict(state, changed=changed)
    for scheduler in schedulers[len(states) :]:
        done = epoch if scheduler.by_epoch else iter
        warnings.warn(
            f"{type(scheduler).__name__} was not in the saved run; it counts from {done}",
            stacklevel=2,
        )
        _start_at(scheduler, done)
    if len(states) > len(schedulers):
        warnings.warn(
            f"the saved run had {len(states)} param schedulers, the config has {len(schedulers)}: "
            "the last ones stop",
            stacklevel=2,
        )


def _start_at(scheduler: Any, done: int) -> None:
    if hasattr(scheduler, "steps_made"):
        scheduler._global_step = done
        scheduler.last_step = scheduler.steps_made(done)

"""What saves when a training is stopped or fails, and when the hooks that save do so."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from torch import nn

from loopwright import dist
from loopwright.core import salvage
from loopwright.model import is_sharded, seen_by_statistics
from loopwright.optim.zero import told_together
from loopwright.trainer.checkpointing import Checkpointer

logger = logging.getLogger("loopwright.trainer")

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


class Weights:
    """Notices whether weights were written to, by the counters that torch keeps of that.

    >>> layer = nn.Linear(2, 1)
    >>> weights = Weights(layer)
    >>> weights.look()
    >>> before, _, after = weights.changed(), nn.init.zeros_(layer.bias), weights.changed()
    >>> before, after
    (False, True)
    """

    def __init__(self, model: nn.Module | None) -> None:
        every: Sequence[nn.Parameter] = () if model is None else list(model.parameters())
        self._watched = [p for p in every if p.requires_grad]
        self._seen: list[int] | None = None

    def look(self) -> None:
        """An iteration begins."""
        self._seen = [p._version for p in self._watched]

    def forget(self) -> None:
        """It ended."""
        self._seen = None

    def changed(self) -> bool:
        """Whether an iteration that began, and did not end, changed them."""
        return self._seen is not None and self._seen != [p._version for p in self._watched]


def saver_after_error(trainer: Any) -> tuple[Checkpointer, str] | None:
    """The checkpointer that saves alone on this rank, with the prefix of its files."""
    saver, prefix = saver_of(trainer) or (None, "")
    if isinstance(saver, Checkpointer) and saver.save_dir and saver.save_to_disk:
        return saver, prefix
    return None


def save_after_error(trainer: Any, error: BaseException) -> None:
    """Save what is whole after an error: the state before the iteration that failed.

    Or behind that iteration, where a hook failed that stands behind the one that saves. No other
    rank is asked: it may have failed alone. What a loss of NaN leaves is kept for a look, as
    ``<prefix>_crash_…``, and never resumed from.
    """
    loop, found = trainer._current, saver_after_error(trainer)
    last = trainer.finished
    if loop is None or found is None or last < trainer.start_iter:
        return
    saver, prefix = found
    wrapper = getattr(trainer, "optim_wrapper", None)
    what = salvage(
        error,
        whole=_whole(trainer, loop),
        in_window=trainer._in_window(),
        scattered=is_sharded(saver.model) or told_together(wrapper),
    )
    if what.against is not None:
        logger.warning(what.against)
    elif not what.good:
        saver.save(f"{prefix}_crash_{last:07d}", tag=False, iteration=last)
    elif not saver.holds(last):
        if loop.failed_in_step and (left := seen_by_statistics(saver.model)):
            logger.warning(left)
        if dist.get_world_size() == 1:
            trainer._settle()
        saver.save(f"{prefix}_{last:07d}", iteration=last)


def _whole(trainer: Any, loop: Any) -> bool:
    """Between two iterations, or as the hook that saves found it in the one that failed."""
    if loop.whole:
        return not loop.weights.changed()
    return any(getattr(hook, "reached", -1) == trainer.iter for hook in trainer._hooks)

"""Where a loader is: an epoch and a batch, the same three verbs for every kind of loader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopwright.data.faults import DataError


class Positioned:
    """A source of batches that knows its epoch and the batches handed out of it.

    A kind of loader gives ``_batches_from(start)``, ``length``, ``dataset`` and ``sampler``.
    """

    dataset: Any = None
    sampler: Any = None
    batch_sampler: Any = None

    def __init__(self) -> None:
        self._epoch = 0
        self._start = 0
        self._handed = 0

    @property
    def length(self) -> int | None:
        """Batches an epoch, or None where that is not known."""
        raise NotImplementedError

    def _batches_from(self, start: int) -> Iterator[Any]:
        raise NotImplementedError

    def __len__(self) -> int:
        length = self.length
        if length is None:
            raise TypeError(f"{type(self.dataset).__name__} has no known number of batches")
        return length

    @property
    def epoch(self) -> int:
        """The epoch the next ``iter`` gives; a sampler that counts epochs says it."""
        epoch = getattr(self.sampler, "epoch", None)
        return epoch if isinstance(epoch, int) else self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; a position set within this very epoch stays."""
        if epoch != self.epoch:
            self._start = self._handed = 0
        self._epoch = epoch
        for part in (self.sampler, self.batch_sampler):
            if hasattr(part, "set_epoch"):
                part.set_epoch(epoch)

    def set_position(self, epoch: int, batch: int) -> None:
        """Let the next ``iter`` start at a batch of an epoch, without loading those before it."""
        self.set_epoch(epoch)
        self._start = self._handed = batch

    def __iter__(self) -> Iterator[Any]:
        start, self._start = self._start, 0
        self._handed = start
        return self._batches_from(start)

    def endless(self) -> Iterator[Any]:
        """Batches without end: from the position, then epoch after epoch."""
        while True:
            seen = self._start
            for batch in self:
                seen += 1
                yield batch
            if not seen:
                raise DataError(f"{type(self.dataset).__name__} gives no batch in an epoch")
            self.set_epoch(self.epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """The position after the batches handed out so far."""
        return {"epoch": self.epoch, "batch": self._handed}

    def load_state_dict(self, state: dict[str, Any], *, allow_change: bool = False) -> None:
        """Go to a saved position."""
        self.set_position(state["epoch"], state["batch"])

    def close(self) -> None:
        """End the workers, if any are kept."""

"""What the loaders share that put batches together themselves: how many, by whom, till when."""

from __future__ import annotations

from typing import Any

from loopwright.data.fetch import Collate
from loopwright.data.position import Positioned
from loopwright.data.workers import Pool, WorkerSettings


class Batching(Positioned):
    """Puts batches together from samples, here or in worker processes that it may keep.

    A kind of it says in ``_batches()`` how many batches its samples make, or None where that is
    not known; ``num_batch_per_epoch`` is the most of them that an epoch has.
    """

    def __init__(
        self,
        dataset: Any,
        collate: Collate,
        *,
        num_batch_per_epoch: int | None,
        pin_memory: bool,
        workers: WorkerSettings | None,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.collate_fn = collate
        self.num_batch_per_epoch = num_batch_per_epoch
        self.pin_memory = pin_memory
        self.workers = workers or WorkerSettings(count=0)
        self._pool: Pool | None = None

    @property
    def num_workers(self) -> int:
        return self.workers.count

    @property
    def persistent_workers(self) -> bool:
        return self.workers.persistent

    @property
    def length(self) -> int | None:
        """Batches an epoch, or None where that is not known."""
        count, limit = self._batches(), self.num_batch_per_epoch
        if count is None or limit is None:
            return limit if count is None else count
        return min(limit, count)

    def _batches(self) -> int | None:
        raise NotImplementedError

    def close(self) -> None:
        """End the workers, if any are kept."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def in_batches(samples: int, size: int, *, drop_last: bool) -> int:
    """How many batches so many samples make.

    >>> in_batches(7, 3, drop_last=False), in_batches(7, 3, drop_last=True)
    (3, 2)
    """
    return samples // size if drop_last else -(-samples // size)

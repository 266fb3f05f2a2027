"""Batches of a dataset that is only iterated: resumed through its own state, or by skipping."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from loopwright.core.length import length_of
from loopwright.data.batching import Batching, in_batches
from loopwright.data.collate import pseudo_collate
from loopwright.data.fetch import Collate, Fetched
from loopwright.data.pin import pinned
from loopwright.data.randomness import H, seed_sample
from loopwright.data.workers import Pool, WorkerSettings


class Ask(NamedTuple):
    """The ``ordinal``-th batch of one worker's stream; ``state`` says where to take it up."""

    epoch: int
    ordinal: int
    state: Any = None


class Part(NamedTuple):
    """A batch (or the end) of a stream, and the dataset's state after it."""

    batch: Any
    ended: bool
    state: Any


class StreamFetcher:
    """Gives the batches of an iterable dataset one by one, here or in a worker.

    A batch further on than the stream stands is reached by drawing those before it.
    """

    def __init__(
        self, dataset: Any, collate: Collate, batch_size: int | None, *, drop_last: bool, seed: int
    ) -> None:
        self.dataset = dataset
        self.collate = collate
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.seed = seed
        self.at: tuple[int, int] | None = None
        self.stream: Iterator[Any] = iter(())

    def __call__(self, ask: Ask) -> Fetched:
        if ask.state is not None:
            self.dataset.load_state_dict(ask.state)
            self._begin(ask.epoch, ask.ordinal)
        elif self.at is None or self.at[0] != ask.epoch or self.at[1] > ask.ordinal:
            self._begin(ask.epoch, 0)
        batch, ended = self._batch()
        while self.at[1] <= ask.ordinal and not ended:  # type: ignore[index]
            batch, ended = self._batch()
        saved = self.dataset.state_dict() if hasattr(self.dataset, "state_dict") else None
        return Fetched(Part(batch, ended, saved), ())

    def _begin(self, epoch: int, ordinal: int) -> None:
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
        self.at = (epoch, ordinal)
        info = get_worker_info()
        self.key = H(self.seed, "stream", epoch, info.id if info else 0)
        seed_sample(self.key, 0, -1)
        self.stream = iter(self.dataset)

    def _batch(self) -> tuple[Any, bool]:
        epoch, ordinal = self.at  # type: ignore[misc]
        samples: list[Any] = []
        size = self.batch_size or 1
        for place in range(ordinal * size, (ordinal + 1) * size):
            seed_sample(self.key, 0, place)
            try:
                samples.append(next(self.stream))
            except StopIteration:
                break
        self.at = (epoch, ordinal + 1)
        if not samples or (self.drop_last and len(samples) < size):
            return None, True
        return (samples[0] if self.batch_size is None else self.collate(samples)), False


class StreamLoader(Batching):
    """Batches of an iterable dataset; ``len`` only where the dataset or a limit says it.

    A dataset with ``state_dict``/``load_state_dict`` is resumed through them, another one by
    drawing and dropping what was seen. Workers each iterate their own copy, as torch's do.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        batch_size: int | None = 1,
        drop_last: bool = False,
        collate_fn: Collate = pseudo_collate,
        num_batch_per_epoch: int | None = None,
        pin_memory: bool = False,
        seed: int = 0,
        workers: WorkerSettings | None = None,
    ) -> None:
        super().__init__(
            dataset,
            collate_fn,
            num_batch_per_epoch=num_batch_per_epoch,
            pin_memory=pin_memory,
            workers=workers,
        )
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.fetch = StreamFetcher(dataset, collate_fn, batch_size, drop_last=drop_last, seed=seed)
        count = max(self.workers.count, 1)
        self._counts = [0] * count
        self._states: list[Any] = [None] * count
        self._ended = [False] * count
        self._turn = 0
        self._restored = False

    def _batches(self) -> int | None:
        samples = length_of(self.dataset)
        if samples is None:
            return None
        return in_batches(samples, self.batch_size or 1, drop_last=self.drop_last)

    def set_position(self, epoch: int, batch: int) -> None:
        """Stand before a batch; a saved state stays only where it is the state there."""
        self._restored = self._restored and (epoch, batch) == (self.epoch, self._start)
        super().set_position(epoch, batch)

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; a position set within this very epoch stays."""
        self._restored = self._restored and epoch == self.epoch
        super().set_epoch(epoch)

    def _batches_from(self, start: int) -> Iterator[Any]:
        if not self._restored:
            self._place(start)
        self._restored = False
        if self.workers.count == 0:
            parts = self._here()
        else:
            parts = self._from_workers()
        limit = self.num_batch_per_epoch
        while limit is None or self._handed < limit:
            batch = next(parts, parts)
            if batch is parts:
                return
            self._handed += 1
            yield pinned(batch) if self.pin_memory else batch

    def _place(self, start: int) -> None:
        """Stand before batch ``start``, supposing that no worker's stream ended before it."""
        count = len(self._counts)
        self._counts = [(start - number + count - 1) // count for number in range(count)]
        self._states, self._ended = [None] * count, [False] * count
        self._turn = start % count

    def _here(self) -> Iterator[Any]:
        epoch, state = self.epoch, self._states[0]
        while True:
            part = self.fetch(Ask(epoch, self._counts[0], state)).batch
            state = None
            if part.ended:
                return
            self._took(0, part)
            yield part.batch

    def _took(self, number: int, part: Part) -> None:
        self._counts[number] += 1
        self._states[number] = part.state

    def _from_workers(self) -> Iterator[Any]:
        if self._pool is None:
            self._pool = Pool(self.fetch, self.workers)
        try:
            yield from self._turns(self._pool, self.epoch)
        finally:
            if not self.workers.persistent:
                self.close()

    def _turns(self, pool: Pool, epoch: int) -> Iterator[Any]:
        count = self.workers.count
        asked = list(self._counts)
        waiting: list[deque[int]] = [deque() for _ in range(count)]
        for number in range(count * self.workers.prefetch):
            self._ask(pool, epoch, number % count, asked, waiting)
        while not all(self._ended):
            number = self._turn
            self._turn = (number + 1) % count
            if self._ended[number]:
                continue
            part = pool.receive(number, waiting[number].popleft()).batch
            if part.ended:
                self._ended[number] = True
                continue
            self._took(number, part)
            self._ask(pool, epoch, number, asked, waiting)
            yield part.batch

    def _ask(
        self, pool: Pool, epoch: int, number: int, asked: list[int], waiting: list[deque[int]]
    ) -> None:
        first = asked[number] == self._counts[number] and not waiting[number]
        state = self._states[number] if first else None
        waiting[number].append(pool.send(number, Ask(epoch, asked[number], state)))
        asked[number] += 1

    def state_dict(self) -> dict[str, Any]:
        """The position, and for each worker how far its stream is and the dataset's own state."""
        return {
            **super().state_dict(),
            "counts": list(self._counts),
            "states": list(self._states),
            "ended": list(self._ended),
            "turn": self._turn,
        }

    def load_state_dict(self, state: dict[str, Any], *, allow_change: bool = False) -> None:
        """Go to a saved position; another number of workers can only skip, and warns."""
        self.set_position(state["epoch"], state["batch"])
        if len(state["counts"]) != len(self._counts):
            warnings.warn(
                f"the position of {type(self.dataset).__name__} was saved with "
                f"{len(state['counts'])} streams, there are {len(self._counts)} now: "
                "its batches are drawn again and dropped",
                stacklevel=2,
            )
            return
        self._counts, self._states = list(state["counts"]), list(state["states"])
        self._ended, self._turn = list(state["ended"]), state["turn"]
        self._restored = True

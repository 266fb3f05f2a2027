"""The loader: batches of an epoch from any position, the same for any number of workers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from loopwright.data.batching import Batching, in_batches
from loopwright.data.collate import pseudo_collate
from loopwright.data.drawing import Generators, apart
from loopwright.data.faults import BadSamples, DatasetChangedError
from loopwright.data.fetch import Collate, Fetcher, Task
from loopwright.data.fingerprint import fingerprint
from loopwright.data.pin import pinned, pinned_ahead
from loopwright.data.samplers import DefaultSampler
from loopwright.data.tasks import from_batch_sampler, from_pieces, gives_each_once, in_a_stream
from loopwright.data.workers import Pool, WorkerSettings


class Loader(Batching):
    """Batches of a dataset with a length, from any epoch and batch on.

    ``iter`` gives the rest of the current epoch: from ``set_position`` once, else from its start.
    Which samples come is the sampler's matter; what is drawn inside a sample depends on
    (seed, epoch, index) alone.

    >>> loader = Loader(list(range(6)), batch_size=2, seed=0)
    >>> loader.set_position(epoch=1, batch=2)
    >>> loader.sampler.epoch, len(list(loader)), len(list(loader))
    (1, 1, 3)
    """

    def __init__(
        self,
        dataset: Any,
        *,
        batch_size: int = 1,
        sampler: Any = None,
        batch_sampler: Any = None,
        drop_last: bool = False,
        collate_fn: Collate = pseudo_collate,
        num_batch_per_epoch: int | None = None,
        pin_memory: bool = False,
        seed: int = 0,
        bad_samples: BadSamples | None = None,
        workers: WorkerSettings | None = None,
    ) -> None:
        super().__init__(
            dataset,
            collate_fn,
            num_batch_per_epoch=num_batch_per_epoch,
            pin_memory=pin_memory,
            workers=workers,
        )
        self.batch_sampler = batch_sampler
        self.sampler = _sampler_of(dataset, sampler, batch_sampler, seed)
        self.batch_size = getattr(batch_sampler, "batch_size", batch_size)
        self.drop_last = getattr(batch_sampler, "drop_last", drop_last)
        self.seed = seed
        self.bad_samples = bad_samples
        self._distinct = gives_each_once(self.sampler)
        self._endless = bool(getattr(self.sampler, "endless", False)) and batch_sampler is None
        self._generators = Generators(*self._drawn_from())
        self._fetcher: Fetcher | None = None
        self._shown: list[Any] = []

    def _batches(self) -> int | None:
        try:
            if self.batch_sampler is not None:
                return len(self.batch_sampler)
            samples = len(self.sampler)
        except TypeError:
            return None
        return in_batches(samples, self.batch_size, drop_last=self.drop_last)

    # -- where it is -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The position after the batches handed out so far, and what it is a position in."""
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "batch": self._handed,
            "batch_size": self.batch_size,
            "world_size": getattr(self.sampler, "world_size", 1),
            "seed": self.seed,
            "dataset": self.fingerprint,
        }
        if self._endless:
            place = self._place(self._handed)
            state["sampler"] = self.sampler.state_dict(place * self.batch_size)
        if self.bad_samples is not None:
            state["bad_samples"] = self.bad_samples.state_dict()
        return {**state, **self._generators.state_dict()}

    @cached_property
    def fingerprint(self) -> str:
        """A short name for the dataset's content (see ``loopwright.data.fingerprint``)."""
        return fingerprint(self.dataset)

    def load_state_dict(self, state: dict[str, Any], *, allow_change: bool = False) -> None:
        """Go to a saved position.

        Another batch size or number of ranks keeps the number of samples seen. Raises
        DatasetChangedError where the dataset is another one, unless ``allow_change``: then the
        epoch starts again.
        """
        batch = state["batch"]
        changed = state.get("dataset") not in (None, self.fingerprint)
        if changed and not allow_change:
            raise DatasetChangedError(
                f"the checkpoint's dataset was {state['dataset']}, this one is "
                f"{self.fingerprint}; allow the change, and the epoch starts anew"
            )
        if changed:
            warnings.warn(f"the dataset changed; epoch {state['epoch']} starts anew", stacklevel=2)
            batch = 0
        now = self.batch_size * getattr(self.sampler, "world_size", 1)
        before = state.get("batch_size", self.batch_size) * state.get("world_size", 1)
        if now != before and batch:
            batch = _rescaled(batch, before, now)
        elif "sampler" in state and not changed and hasattr(self.sampler, "load_state_dict"):
            self.sampler.load_state_dict(state["sampler"])
        if "bad_samples" in state and self.bad_samples is not None:
            self.bad_samples.load_state_dict(state["bad_samples"])
        self._generators.load_state_dict(state)
        self.set_position(state["epoch"], batch)

    def samples_now(self) -> list[int] | None:
        """Indices of the samples in the batch handed out last, to name them in an error.

        None where only another walk through somebody else's sampler would tell.
        """
        known = self.batch_sampler is None and hasattr(self.sampler, "pieces")
        if not known or self._handed < 1:
            return None
        task = next(self._tasks_of_pieces(self.epoch, self._handed - 1), None)
        return None if task is None else task.indices

    # -- giving batches --------------------------------------------------------------------

    def _batches_from(self, start: int) -> Iterator[Any]:
        tasks = self._tasks(start)
        return self._from_workers(tasks) if self.workers.count else self._here(tasks)

    def _tasks(self, start: int) -> Iterator[Task]:
        epoch = self.epoch
        if self.batch_sampler is None and hasattr(self.sampler, "pieces"):
            tasks = self._tasks_of_pieces(epoch, start)
        else:
            tasks = self._tasks_of_others(epoch, start)
        if self.num_batch_per_epoch is None:
            return tasks
        return islice(tasks, max(0, self.num_batch_per_epoch - start))

    def _tasks_of_pieces(self, epoch: int, start: int) -> Iterator[Task]:
        size = self.batch_size
        if not self._endless:
            pieces = self.sampler.pieces(start * size)
            return from_pieces(pieces, epoch, size, drop_last=self.drop_last)
        place = self._place(start)
        tasks = from_pieces(self.sampler.pieces(place * size), epoch, size, drop_last=False)
        return in_a_stream(tasks, place, self._batches() or 1)

    def _tasks_of_others(self, epoch: int, start: int) -> Iterator[Task]:
        """Tasks in the order of a sampler that cannot say where it is: drawn from its start on."""
        self._generators.wind(epoch, self._draw_an_epoch)
        self._begin_order()
        tasks = from_batch_sampler(self._ordered(), epoch, start, distinct=self._distinct)
        samplers = tuple(s for s in (self.sampler, self.batch_sampler) if s is not None)
        return apart(tasks, samplers, self.seed, epoch)

    def _ordered(self) -> Any:
        if self.batch_sampler is not None:
            return self.batch_sampler
        return _chunks(self.sampler, self.batch_size, self.drop_last)

    def _draw_an_epoch(self) -> None:
        self._begin_order()
        for _ in islice(self._ordered(), self.length):
            pass

    def _begin_order(self) -> None:
        """What is drawn before an epoch's first index."""

    def _drawn_from(self) -> tuple[Any, ...]:
        """What may keep a generator that the order follows from."""
        if self.batch_sampler is None and hasattr(self.sampler, "pieces"):
            return ()
        return (self.sampler, self.batch_sampler)

    def _place(self, start: int) -> int:
        """A batch's number in a stream without end, whose epochs are only counted off."""
        return self._epoch * len(self) + start

    def fetcher(self) -> Fetcher:
        """What turns a task into a batch, here and in workers."""
        if self._fetcher is None or self._fetcher.collate is not self.collate_fn:
            skip = self.bad_samples is not None
            self._fetcher = Fetcher(self.dataset, self.collate_fn, seed=self.seed, skip_bad=skip)
        return self._fetcher

    def _here(self, tasks: Iterator[Task]) -> Iterator[Any]:
        fetch, pin, handed = self.fetcher(), self.pin_memory, self._handed
        for task in tasks:
            batch, bad = fetch(task)
            if bad:
                self._note(bad)
            handed += 1
            self._handed = handed
            yield pinned(batch) if pin else batch

    def _from_workers(self, tasks: Iterator[Task]) -> Iterator[Any]:
        pool, handed = self._workers_now(), self._handed
        answers = pool.run(tasks)
        try:
            for batch, bad in pinned_ahead(answers) if self.pin_memory else answers:
                if bad:
                    self._note(bad)
                handed += 1
                self._handed = handed
                yield batch
        finally:
            if not self.workers.persistent:
                pool.close()
                if self._pool is pool:
                    self._pool = None

    def _workers_now(self) -> Pool:
        """The kept workers, or new ones where there are none or their dataset is out of date."""
        shown = changeable(self.dataset)
        if self._pool is not None and shown != self._shown:
            self.close()
        if self._pool is None:
            self._pool = Pool(self.fetcher(), self.workers)
            self._shown = shown
        return self._pool

    def _note(self, bad: Any) -> None:
        if self.bad_samples is not None:
            for one in bad:
                self.bad_samples.note(one)


def _sampler_of(dataset: Any, sampler: Any, batch_sampler: Any, seed: int) -> Any:
    if batch_sampler is not None:
        return getattr(batch_sampler, "sampler", sampler)
    if sampler is not None:
        return sampler
    return DefaultSampler(dataset, shuffle=False, seed=seed, rank=0, world=1)


def _chunks(sampler: Any, size: int, drop_last: bool) -> Iterator[list[int]]:
    indices = iter(sampler)
    while batch := list(islice(indices, size)):
        if len(batch) == size or not drop_last:
            yield batch


def changeable(dataset: Any) -> list[Any]:
    """What code may exchange on a dataset, and on those inside it, between two epochs."""
    names = ("pipeline", "transform", "_switches", "skip")
    found = [getattr(dataset, name, None) for name in names]
    found[2] = tuple(found[2] or ())
    inside = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    for inner in inside if isinstance(inside, list | tuple) else ():
        if inner is not None:
            found += changeable(inner)
    return found


def _rescaled(batch: int, before: int, now: int) -> int:
    samples = batch * before
    if samples % now:
        warnings.warn(
            f"{samples} samples were seen, no multiple of the new global batch of {now}: "
            f"{samples % now} of them are seen again",
            stacklevel=3,
        )
    return samples // now

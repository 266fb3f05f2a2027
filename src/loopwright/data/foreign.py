"""Loaders made by others: torch's are taken apart, anything else is iterated as it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from loopwright.core.length import length_of
from loopwright.data.fetch import Task
from loopwright.data.loader import Loader
from loopwright.data.position import Positioned
from loopwright.data.randomness import H
from loopwright.data.stream import StreamLoader
from loopwright.data.workers import HANG, WorkerSettings


def adopt(loader: Any, *, seed: int = 0) -> Positioned:
    """Give a loader of another make a position that can be saved and restored.

    A plain ``torch.utils.data.DataLoader`` keeps its dataset, order, collate function and workers'
    number, and gains per-sample seeds and restarts; one of another class (torchdata's
    StatefulDataLoader too) or any other iterable is iterated as it is.
    """
    if isinstance(loader, Positioned):
        return loader
    if type(loader) is not DataLoader:
        return Iterated(loader, seed=seed)
    settings = WorkerSettings(
        count=loader.num_workers,
        persistent=bool(loader.persistent_workers),
        prefetch=loader.prefetch_factor or 2,
        timeout=loader.timeout or HANG,
        init=loader.worker_init_fn,
        seed=seed,
    )
    if isinstance(loader.dataset, IterableDataset):
        return StreamLoader(
            loader.dataset,
            batch_size=loader.batch_size,
            drop_last=loader.drop_last,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            seed=seed,
            workers=settings,
        )
    if loader.batch_sampler is None:
        return Iterated(loader, seed=seed)
    return Adopted(loader, seed=seed, workers=settings)


class Adopted(Loader):
    """A torch DataLoader over a map-style dataset, with its own order of samples.

    A loader that shuffles with torch's global generator is given one seeded with (seed, epoch). One
    with a generator of its own keeps the order it has in a plain loop, epoch after epoch; a later
    epoch is reached by drawing the indices of those since the nearest known one.
    """

    def __init__(self, loader: DataLoader[Any], *, seed: int, workers: WorkerSettings) -> None:
        super().__init__(
            loader.dataset,
            batch_sampler=loader.batch_sampler,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            seed=seed,
            workers=workers,
        )
        self.loader = loader
        self._generator = loader.generator or getattr(self.sampler, "generator", None)
        first = None if self._generator is None else self._generator.get_state()
        self._first: tuple[int, torch.Tensor | None] = (0, first)
        self._known = self._first

    def _batches_from(self, start: int) -> Iterator[Any]:
        if self._generator is None:
            torch.default_generator.manual_seed(H(self.seed, "order", self.epoch) >> 1)
        else:
            self._wind(self._generator)
        self._begin_as_torch_does()
        tasks = drawn(self._tasks(start), self.sampler)
        return self._from_workers(tasks) if self.workers.count else self._here(tasks)

    def _wind(self, generator: torch.Generator) -> None:
        """Bring the generator to where it is when this epoch begins."""
        epoch, state = self._known if self._known[0] <= self.epoch else self._first
        if state is not None:
            generator.set_state(state)
        for _ in range(epoch, self.epoch):
            self._begin_as_torch_does()
            for _ in self.batch_sampler:
                pass
        self._known = (self.epoch, generator.get_state())

    def _begin_as_torch_does(self) -> None:
        # torch's iterator draws its workers' seed first, so the same order follows
        if self.loader.generator is not None:
            torch.empty((), dtype=torch.int64).random_(generator=self.loader.generator)

    def state_dict(self) -> dict[str, Any]:
        """The position, and the order's generator as it was when the epoch began."""
        epoch, generator = self._known
        own = {} if generator is None else {"generator": generator, "generator_epoch": epoch}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: dict[str, Any], *, allow_change: bool = False) -> None:
        """Go to a saved position, with the order of that epoch."""
        super().load_state_dict(state, allow_change=allow_change)
        if "generator" in state:
            self._known = (state["generator_epoch"], state["generator"])


def drawn(tasks: Iterator[Task], sampler: Any) -> Iterator[Task]:
    """Tasks whose order no longer depends on the global generators, reseeded for every sample.

    torch's samplers draw at their first index; others are drawn to the end where there is one.
    """
    ours_or_torchs = type(sampler).__module__.partition(".")[0] in ("torch", "loopwright")
    if ours_or_torchs or not hasattr(sampler, "__len__"):
        return chain(list(islice(tasks, 1)), tasks)
    return iter(list(tasks))


class Iterated(Positioned):
    """Any iterable of batches; resumed through its own ``state_dict``, else by skipping."""

    def __init__(self, batches: Any, *, seed: int = 0) -> None:
        super().__init__()
        self.batches = batches
        self.seed = seed
        self.dataset = getattr(batches, "dataset", batches)
        self.sampler = getattr(batches, "sampler", None)
        self.batch_sampler = getattr(batches, "batch_sampler", None)
        self.batch_size = getattr(batches, "batch_size", None)
        self.num_workers = getattr(batches, "num_workers", 0)
        self._restored = False

    @property
    def length(self) -> int | None:
        """Batches an epoch, or None where that is not known."""
        return length_of(self.batches)

    def set_epoch(self, epoch: int) -> None:
        """Tell the iterable too, where it listens."""
        super().set_epoch(epoch)
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(epoch)

    def _batches_from(self, start: int) -> Iterator[Any]:
        torch.default_generator.manual_seed(H(self.seed, "order", self.epoch) >> 1)
        source = iter(self.batches)
        if start and not self._restored:
            warnings.warn(
                f"{type(self.batches).__name__} has no state_dict: {start} batches are loaded "
                "again and dropped to reach the saved position",
                stacklevel=2,
            )
            source = islice(source, start, None)
        self._restored = False
        for batch in source:
            self._handed += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """The position, and the iterable's own state where it has one."""
        state = super().state_dict()
        own = getattr(self.batches, "state_dict", None)
        return state if own is None else {**state, "own": own()}

    def load_state_dict(self, state: dict[str, Any], *, allow_change: bool = False) -> None:
        """Go to a saved position."""
        super().load_state_dict(state)
        if "own" in state and hasattr(self.batches, "load_state_dict"):
            self.batches.load_state_dict(state["own"])
            self._restored = True

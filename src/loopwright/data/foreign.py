"""Loaders made by others: torch's are taken apart, anything else is iterated as it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from loopwright.core.length import length_of
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

    A loader with a generator of its own keeps the order it has in a plain loop, epoch after epoch.
    """

    def __init__(self, loader: DataLoader[Any], *, seed: int, workers: WorkerSettings) -> None:
        self.loader = loader
        super().__init__(
            loader.dataset,
            batch_sampler=loader.batch_sampler,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            seed=seed,
            workers=workers,
        )

    def _drawn_from(self) -> tuple[Any, ...]:
        return (*super()._drawn_from(), self.loader)

    def _begin_order(self) -> None:
        # torch's iterator draws its workers' seed first, so the same order follows
        if self.loader.generator is not None:
            torch.empty((), dtype=torch.int64).random_(generator=self.loader.generator)


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

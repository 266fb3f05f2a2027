"""Batches for ever: what a trainer that knows no epochs fetches from."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from loopwright.core.length import length_of


def endless(loader: Iterable[Any], done: int = 0) -> Iterator[Any]:
    """Batches of the loader again and again, from where ``done`` iterations leave it.

    A loader with ``set_position`` and a list of batches start at the right batch, one with a
    sampler that has ``set_epoch`` at the start of the right epoch, any other at its start; where
    batches come again, a warning says so. An iterator that ends is not started again.

    Raises RuntimeError for a loader that gives nothing, or no more.
    """
    length = length_of(loader)
    epoch, batch = divmod(done, length) if length else (0, done)
    while True:
        empty = True
        for item in _placed(loader, epoch, batch):
            empty = False
            yield item
        if empty:
            raise RuntimeError(
                "the training loader gave no batch"
                + (" in its second round: give a loader, not an iterator" if epoch else "")
            )
        epoch, batch = epoch + 1, 0


def _placed(loader: Any, epoch: int, batch: int) -> Iterable[Any]:
    """The loader, standing at a batch of an epoch as well as it can."""
    if hasattr(loader, "set_position"):
        loader.set_position(epoch, batch)
        return loader  # type: ignore[no-any-return]
    if isinstance(loader, Sequence):
        return loader[batch:]
    set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch)
    if batch:
        warnings.warn(
            f"{type(loader).__name__} cannot start at batch {batch}: {batch} batches come again",
            stacklevel=3,
        )
    return loader  # type: ignore[no-any-return]

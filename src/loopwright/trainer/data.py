"""Batches for ever: what a trainer that knows no epochs fetches from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def endless(loader: Iterable[Any], done: int = 0) -> Iterator[Any]:
    """Batches of the loader again and again, from where ``done`` iterations leave it.

    A loader with ``set_position`` starts at the right batch of the right epoch, one with a sampler
    that has ``set_epoch`` in the right epoch, any other from its start. An iterator that ends is
    not started again.

    Raises RuntimeError for a loader that gives nothing, or no more.
    """
    length = _length(loader)
    epoch, batch = divmod(done, length) if length else (0, done)
    while True:
        _place(loader, epoch, batch)
        empty = True
        for item in loader:
            empty = False
            yield item
        if empty:
            raise RuntimeError(
                "the training loader gave no batch"
                + (" in its second round: give a loader, not an iterator" if epoch else "")
            )
        epoch, batch = epoch + 1, 0


def _place(loader: Any, epoch: int, batch: int) -> None:
    if hasattr(loader, "set_position"):
        loader.set_position(epoch, batch)
        return
    set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch)


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:
        return None

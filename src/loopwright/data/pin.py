"""Copying a batch into page-locked memory, so that it moves to a GPU without waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from loopwright.data.fetch import Fetched


def pinned(batch: Any) -> Any:
    """The batch with every tensor page-locked; unchanged where there is no accelerator.

    >>> pinned({"x": [1, "a"]})
    {'x': [1, 'a']}
    """
    if not torch.cuda.is_available():
        return batch
    return _pin(batch)


def pinned_ahead(answers: Iterator[Fetched], depth: int = 2) -> Iterator[Fetched]:
    """The answers with page-locked batches, copied by a thread a few batches ahead."""
    if not torch.cuda.is_available():
        yield from answers
        return
    ready: queue.Queue[Any] = queue.Queue(depth)
    enough = threading.Event()
    thread = threading.Thread(
        target=_copy, args=(answers, ready, enough, torch.cuda.current_device()), daemon=True
    )
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        enough.set()
        thread.join()


def _copy(
    answers: Iterator[Fetched], ready: queue.Queue[Any], enough: threading.Event, device: int
) -> None:
    torch.cuda.set_device(device)

    def put(item: Any) -> bool:
        while not enough.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    try:
        for batch, bad in answers:
            if not put(Fetched(_pin(batch), bad)):
                return
        put(None)
    except BaseException as error:
        put(error)


def _pin(value: Any) -> Any:
    if hasattr(value, "pin_memory"):
        return value.pin_memory()
    if type(value) is dict or isinstance(value, Mapping):
        moved = {key: _pin(item) for key, item in value.items()}
        return moved if type(value) is dict else type(value)(moved)  # type: ignore[call-arg]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_pin, value))
    if type(value) in (list, tuple):
        return type(value)(map(_pin, value))
    return value

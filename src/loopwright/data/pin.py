"""Copying a batch into page-locked memory, so that it moves to a GPU without waiting."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from loopwright.data.fetch import Fetched


def pinned(batch: Any) -> Any:
    """The batch with every tensor page-locked; unchanged where there is no accelerator.

    >>> pinned({"x": [1, "a"]})
    {'x': [1, 'a']}
    """
    return _pin(batch) if torch.cuda.is_available() else batch


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


def pinned_ahead(answers: Iterator[Fetched]) -> Iterator[Fetched]:
    """The answers with page-locked batches, copied by a thread a few batches ahead."""
    if not torch.cuda.is_available():
        return answers
    device = torch.cuda.current_device()

    def copied(answer: Fetched) -> Fetched:
        torch.cuda.set_device(device)  # each thread has its own
        return Fetched(_pin(answer.batch), answer.bad)

    return ahead(answers, copied)


def ahead(items: Iterator[Any], change: Callable[[Any], Any], depth: int = 2) -> Iterator[Any]:
    """The items changed, by a thread that works up to ``depth`` of them ahead.

    Errors come in their place; giving up the iteration ends the thread.

    >>> list(ahead(iter([1, 2, 3]), lambda number: number * 10))
    [10, 20, 30]
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    enough = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, change, ready, enough), daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item
    finally:
        enough.set()
        thread.join()


def _fill(
    items: Iterator[Any],
    change: Callable[[Any], Any],
    ready: queue.Queue[tuple[str, Any]],
    enough: threading.Event,
) -> None:
    def put(kind: str, item: Any) -> None:
        while not enough.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, item), timeout=0.1)
                return

    try:
        for item in items:
            put("item", change(item))
            if enough.is_set():
                return
        put("end", None)
    except BaseException as error:
        put("error", error)

"""Copying a batch into page-locked memory, so that it moves to a GPU without waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def pinned(batch: Any) -> Any:
    """The batch with every tensor page-locked; unchanged where there is no accelerator.

    >>> pinned({"x": [1, "a"]})
    {'x': [1, 'a']}
    """
    if not torch.cuda.is_available():
        return batch
    return _pin(batch)


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

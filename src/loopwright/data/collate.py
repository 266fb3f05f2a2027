"""Making a batch of a list of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from loopwright.registry import FUNCTIONS


def pseudo_collate(samples: Sequence[Any]) -> Any:
    """Gather field by field without stacking: a dict of lists, a list of tuples, or the samples.

    >>> pseudo_collate([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}])
    {'x': [1, 2], 'y': ['a', 'b']}
    >>> pseudo_collate([(1, "a"), (2, "b")])
    [(1, 2), ('a', 'b')]
    """
    first = samples[0]
    if isinstance(first, str | bytes):
        return samples
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(pseudo_collate(column) for column in _columns(samples)))
    if isinstance(first, Mapping):
        gathered = {key: pseudo_collate([s[key] for s in samples]) for key in first}
        return gathered if type(first) is dict else _like(first, gathered)
    if isinstance(first, Sequence):
        columns = [pseudo_collate(column) for column in _columns(samples)]
        return columns if isinstance(first, list | tuple) else _like(first, columns)
    return samples


def default_collate(samples: Sequence[Any]) -> Any:
    """Gather field by field and stack tensors, arrays and numbers; annotation objects stay a list.

    >>> default_collate([{"x": torch.zeros(2), "y": 1}, {"x": torch.ones(2), "y": 2}])["x"].shape
    torch.Size([2, 2])
    """
    first = samples[0]
    if _is_annotation(first) or isinstance(first, str | bytes):
        return samples
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(column) for column in _columns(samples)))
    if isinstance(first, Mapping):
        gathered = {key: default_collate([s[key] for s in samples]) for key in first}
        return gathered if type(first) is dict else _like(first, gathered)
    if isinstance(first, list | tuple):
        return [default_collate(column) for column in _columns(samples)]
    return torch.utils.data.default_collate(list(samples))


def _columns(samples: Sequence[Any]) -> list[tuple[Any, ...]]:
    sizes = {len(sample) for sample in samples}
    if len(sizes) > 1:
        raise RuntimeError(
            f"samples of one batch have different numbers of fields: {sorted(sizes)}"
        )
    return list(zip(*samples))


def _like(first: Any, gathered: Any) -> Any:
    try:
        return type(first)(gathered)
    except TypeError:
        return gathered


def _is_annotation(value: Any) -> bool:
    """Whether it is a data element (MMEngine's, or one like it), known by two of its methods."""
    return hasattr(value, "set_metainfo") and hasattr(value, "metainfo")


FUNCTIONS.register_module(module=pseudo_collate)
FUNCTIONS.register_module(module=default_collate)

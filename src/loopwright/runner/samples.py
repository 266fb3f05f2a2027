"""A batch as samples: how many there are, and the same batch in several smaller ones."""

from __future__ import annotations

import itertools
from typing import Any


def samples_in(data_batch: Any) -> int:
    """How many samples a batch has: of a dict its ``data_samples``, else its first field's length.

    Inputs that are several views of each sample count once.

    >>> import torch
    >>> samples_in({"inputs": [1, 2, 3]}), samples_in([torch.zeros(5, 2), torch.zeros(5)])
    (3, 5)
    >>> samples_in({"inputs": [torch.zeros(3, 2), torch.zeros(3, 2)], "data_samples": [1, 2, 3]})
    3
    """
    if isinstance(data_batch, dict):
        truths: Any = data_batch.get("data_samples")
        if _has_length(truths):
            return len(truths)
        first = next(iter(data_batch.values()))
        return samples_in(first) if isinstance(first, dict) else len(first)
    if _is_fields(data_batch):
        return len(data_batch[0])
    return len(data_batch)


def in_parts(data_batch: Any, count: int) -> list[tuple[Any, int]]:
    """The batch in ``count`` smaller ones of nearly equal size, each with its number of samples.

    What is not one entry a sample (a scale, a name) goes with every part.

    >>> in_parts({"inputs": [1, 2, 3], "data_samples": ["a", "b", "c"]}, 2)[1]
    ({'inputs': [2, 3], 'data_samples': ['b', 'c']}, 2)
    """
    samples = samples_in(data_batch)
    cuts = [samples * i // count for i in range(count + 1)]
    ranges = [(a, b) for a, b in itertools.pairwise(cuts) if b > a]
    return [(_cut(data_batch, slice(a, b), samples), b - a) for a, b in ranges]


def _cut(data_batch: Any, part: slice, samples: int) -> Any:
    if _is_fields(data_batch):
        return type(data_batch)([_part(field, part, samples) for field in data_batch])
    return _part(data_batch, part, samples)


def _part(value: Any, part: slice, samples: int) -> Any:
    if isinstance(value, dict):
        return {key: _part(item, part, samples) for key, item in value.items()}
    if isinstance(value, str | bytes):
        return value
    if _has_length(value) and len(value) == samples:
        return value[part]
    if isinstance(value, list | tuple):
        return type(value)([_part(item, part, samples) for item in value])
    return value


def _is_fields(value: Any) -> bool:
    """Whether a list holds fields of all samples (inputs, labels), not a sample an entry."""
    return isinstance(value, list | tuple) and bool(value) and hasattr(value[0], "shape")


def _has_length(value: Any) -> bool:
    """Whether a value has entries by number: a list or an array, not a dict or a scalar tensor."""
    if isinstance(value, dict):
        return False
    if not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        return False
    return getattr(value, "ndim", 1) > 0

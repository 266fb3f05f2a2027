"""Reading many scalars from their devices at once: one transfer for each dtype and device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["is_tensor", "read_numbers"]


def is_tensor(value: Any) -> bool:
    """Whether `value` behaves like a torch tensor (torch itself is not imported)."""
    return hasattr(value, "detach") and hasattr(value, "numel")


def read_numbers(values: Sequence[Any]) -> list[float | None]:
    """The values as floats, None for what is no scalar.

    Tensors are stacked by dtype and device and read with one `tolist` a group, so that a hundred
    losses cost one device synchronisation.

    >>> read_numbers([1, 2.5, True, "text", [1]])
    [1.0, 2.5, 1.0, None, None]
    """
    numbers: list[float | None] = [None] * len(values)
    groups: dict[tuple[Any, int], list[int]] = {}
    for index, value in enumerate(values):
        kind = type(value)
        if kind is float:
            numbers[index] = value
        elif kind is int or kind is bool:
            numbers[index] = float(value)
        elif is_tensor(value):
            if value.numel() == 1:
                key = (value.dtype, value.get_device())
                group = groups.get(key)
                if group is None:
                    groups[key] = [index]
                else:
                    group.append(index)
        else:
            numbers[index] = _as_float(value)
    for indices in groups.values():
        for index, number in zip(indices, _read_group([values[i] for i in indices])):
            numbers[index] = number
    return numbers


def _read_group(tensors: list[Any]) -> list[float | None]:
    """One transfer for tensors of one element each that share dtype and device."""
    import torch

    try:
        with torch.no_grad():
            flat = [t if t.dim() == 0 else t.reshape(()) for t in tensors]
            return [float(v) for v in torch.stack(flat).tolist()]
    except (RuntimeError, TypeError, NotImplementedError):  # complex, meta, quantised
        return [_as_float(t) for t in tensors]


def _as_float(value: Any) -> float | None:
    """A numpy scalar, a Fraction, an array of one element; None for text and everything else."""
    if isinstance(value, (str, bytes)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError, NotImplementedError):
        return None

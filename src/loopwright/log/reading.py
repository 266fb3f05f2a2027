"""Reading many scalars from their devices at once: one transfer for each dtype and device."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

__all__ = ["is_tensor", "read_columns", "read_numbers"]


def is_tensor(value: Any) -> bool:
    """Whether `value` behaves like a torch tensor (torch itself is not imported)."""
    return hasattr(value, "detach") and hasattr(value, "numel")


def read_columns(columns: Sequence[list[Any]]) -> list[list[float | None]]:
    """As `read_numbers` for several lists at once, quick where each holds one kind of value.

    Scalar tensors of one dtype are read in one transfer, whichever column they are in.
    """
    numbers: list[list[float | None]] = [[] for _ in columns]
    stacks: dict[Any, list[int]] = {}
    for index, values in enumerate(columns):
        kinds = set(map(type, values))
        dtype = _common_dtype(values) if len(kinds) == 1 else None
        if kinds == {float}:
            numbers[index] = values
        elif dtype is not None:
            stacks.setdefault(dtype, []).append(index)
        else:
            numbers[index] = read_numbers(values)
    for indices in stacks.values():
        for index, column in zip(indices, _read_stacked([columns[i] for i in indices])):
            numbers[index] = column
    return numbers


def _common_dtype(values: list[Any]) -> Any:
    """The dtype when these are tensors of one dtype that begin with a scalar, else None."""
    if not is_tensor(values[0]) or values[0].numel() != 1:
        return None
    dtypes = {value.dtype for value in values}
    return dtypes.pop() if len(dtypes) == 1 else None


def _read_stacked(columns: list[list[Any]]) -> list[list[float | None]]:
    """Columns of scalar tensors of one dtype in one transfer; with care where shapes differ."""
    import torch

    try:
        with torch.no_grad():
            flat = torch.stack([value for values in columns for value in values]).flatten()
            numbers = flat.tolist()
    except (RuntimeError, TypeError, NotImplementedError):  # several devices or shapes, complex
        return [read_numbers(values) for values in columns]
    if not isinstance(numbers[0], float):
        numbers = [float(number) if not isinstance(number, complex) else None for number in numbers]
    ends = list(accumulate(len(values) for values in columns))
    return [numbers[end - len(values) : end] for values, end in zip(columns, ends)]


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

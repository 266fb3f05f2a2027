"""Folding: pending puts sorted into one column a name, and read in one transfer a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loopwright.log.reading import read_columns

__all__ = ["EPOCH_BEGINS", "Pending", "Stretch", "fold"]

EPOCH_BEGINS: Final = object()
Pending = tuple[int, str, Any]  # iteration, prefix, mapping; or iteration, epoch, EPOCH_BEGINS


@dataclass
class _Alike:
    """Puts of the same prefix and names: what a training step puts, iteration for iteration."""

    iters: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    mappings: list[Any] = field(default_factory=list)


@dataclass
class _Column:
    """The values of one name as they were put, with iterations and places in the batch."""

    name: str
    values: list[Any]
    iters: list[int]
    places: list[int]


@dataclass
class Stretch:
    """What was put up to the next beginning of an epoch (or the end of the batch).

    `columns`: name → numbers and their iterations; `rejected`: (name, what it was, iteration).
    """

    columns: dict[str, tuple[list[float], list[int]]] = field(default_factory=dict)
    rejected: list[tuple[str, str, int]] = field(default_factory=list)
    epoch: tuple[int, int] | None = None


def fold(batch: Sequence[Pending]) -> list[Stretch]:
    """Sort the batch and read every value of it in one transfer a device.

    >>> [stretch] = fold([(0, "train", {"loss": 1.0}), (1, "train", {"loss": 2.0})])
    >>> stretch.columns
    {'train/loss': ([1.0, 2.0], [0, 1])}
    """
    stretches, parts = [Stretch()], []
    start = 0
    for index, (iteration, prefix, mapping) in enumerate(batch):
        if mapping is EPOCH_BEGINS:
            parts.append(_columns(batch[start:index]))
            stretches[-1].epoch = (iteration, int(prefix))
            stretches.append(Stretch())
            start = index + 1
    parts.append(_columns(batch[start:]))
    numbers = iter(read_columns([column.values for part in parts for column in part]))
    for stretch, part in zip(stretches, parts):
        for column in part:
            _accept(stretch, column, next(numbers))
    return stretches


def _columns(batch: Sequence[Pending]) -> list[_Column]:
    """One column a name, in the order in which names first came."""
    alike: dict[tuple[str, tuple[str, ...]], _Alike] = {}
    for place, (iteration, prefix, mapping) in enumerate(batch):
        key = (prefix, tuple(mapping))
        group = alike.get(key)
        if group is None:
            group = alike[key] = _Alike()
        group.iters.append(iteration)
        group.places.append(place)
        group.mappings.append(mapping)
    columns: dict[str, _Column] = {}
    for (prefix, names), group in alike.items():
        prefix = prefix + "/" if prefix and prefix[-1] != "/" else prefix
        for name in names:
            values = [mapping[name] for mapping in group.mappings]
            column = _Column(prefix + name, values, group.iters, group.places)
            known = columns.get(column.name)
            columns[column.name] = column if known is None else _merged(known, column)
    return list(columns.values())


def _merged(one: _Column, other: _Column) -> _Column:
    """Two columns of a name that came by different puts, in the order of putting."""
    rows = [*zip(one.places, one.iters, one.values), *zip(other.places, other.iters, other.values)]
    rows.sort(key=lambda row: row[0])
    places, iters, values = (list(part) for part in zip(*rows))
    return _Column(one.name, values, iters, places)


def _accept(stretch: Stretch, column: _Column, numbers: list[float | None]) -> None:
    """Numbers into the columns, what is no scalar into `rejected`."""
    if None not in numbers:
        stretch.columns[column.name] = (numbers, column.iters)  # type: ignore[assignment]
        return
    kept: tuple[list[float], list[int]] = ([], [])
    for number, value, iteration in zip(numbers, column.values, column.iters):
        if number is None:
            stretch.rejected.append((column.name, _describe(value), iteration))
        else:
            kept[0].append(number)
            kept[1].append(iteration)
    if kept[0]:
        stretch.columns[column.name] = kept


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")

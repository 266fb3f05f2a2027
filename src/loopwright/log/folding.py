"""Folding: pending puts, read in one batch, sorted into one column of numbers for each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loopwright.log.reading import read_numbers

__all__ = ["EPOCH_BEGINS", "Pending", "Stretch", "fold"]

EPOCH_BEGINS: Final = object()
Pending = tuple[int, str, Any]  # iteration, prefix, mapping; or iteration, epoch, EPOCH_BEGINS


@dataclass
class Stretch:
    """What was put up to the next beginning of an epoch (or the end of the batch)."""

    columns: dict[str, tuple[list[float], list[int]]] = field(default_factory=dict)
    rejected: list[tuple[str, str, int]] = field(default_factory=list)
    epoch: tuple[int, int] | None = None

    def add(
        self,
        iteration: int,
        prefix: str,
        mapping: Mapping[str, Any],
        numbers: Iterator[float | None],
    ) -> None:
        """Sort one put in: numbers into columns, what is no scalar into `rejected`."""
        if prefix and prefix[-1] != "/":
            prefix += "/"
        columns = self.columns
        for name, number in zip(mapping, numbers):
            if number is None:
                self.rejected.append((prefix + name, _describe(mapping[name]), iteration))
                continue
            column = columns.get(prefix + name)
            if column is None:
                column = columns[prefix + name] = ([], [])
            column[0].append(number)
            column[1].append(iteration)


def fold(batch: Sequence[Pending]) -> list[Stretch]:
    """Read every value of the batch in one transfer a device, and sort.

    >>> [stretch] = fold([(0, "train", {"loss": 1.0}), (1, "train", {"loss": 2.0})])
    >>> stretch.columns
    {'train/loss': ([1.0, 2.0], [0, 1])}
    """
    values = [v for *_, m in batch if m is not EPOCH_BEGINS for v in m.values()]
    numbers = iter(read_numbers(values))
    stretches = [Stretch()]
    for iteration, prefix, mapping in batch:
        if mapping is EPOCH_BEGINS:
            stretches[-1].epoch = (iteration, int(prefix))
            stretches.append(Stretch())
        else:
            stretches[-1].add(iteration, prefix, mapping, numbers)
    return stretches


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")

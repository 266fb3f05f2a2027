"""CSVWriter: one row for each scalar, so that columns never change and the file can be cut."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.lines import LineFile

__all__ = ["CSVWriter"]

COLUMNS = ("tag", "iter", "step", "epoch", "samples", "name", "value")


class CSVWriter:
    """Writes `metrics.csv` in long form: tag, iter, step, epoch, samples, name, value.

    `pandas.read_csv(path).pivot_table(index="iter", columns="name", values="value")` gives the
    wide table. Wall-clock figures are left to `timing.jsonl`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        self.file = LineFile(path if path.suffix == ".csv" else path / "metrics.csv")

    def write(self, record: LogRecord) -> None:
        """Append a row for each scalar of the record."""
        rows: list[tuple[Any, ...]] = [
            (record.tag, p.iter, p.step, p.epoch, p.samples, p.name, repr(p.value))
            for p in record.points
        ]
        rows += [
            (record.tag, record.iter, record.step, record.epoch, record.samples, name, repr(value))
            for name, value in record.scalars.items()
        ]
        if rows:
            head = [] if self.file.offset else [COLUMNS]
            self.file.append(_text([*head, *rows]))

    def close(self) -> None:
        """Make everything durable and close the file."""
        self.file.sync()
        self.file.close()

    def state_dict(self) -> dict[str, int]:
        """The durable length in bytes."""
        return {"metrics": self.file.sync()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Cut the file to the length of the checkpoint."""
        self.file.truncate(state["metrics"])


def _text(rows: list[tuple[Any, ...]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()

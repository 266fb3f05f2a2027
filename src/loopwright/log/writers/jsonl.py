"""JSONLWriter: a JSON object a line, reproducible to the byte; wall-clock figures apart."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loopwright.log.record import LogRecord, Point
from loopwright.log.writers.lines import LineFile

__all__ = ["JSONLWriter", "metric_lines", "position", "timing_line"]


class JSONLWriter:
    """Writes `metrics.jsonl` (or the file named) and beside it `timing.jsonl`.

    The metrics file holds nothing that depends on the clock or the machine's load: two equal runs,
    and a run killed and resumed, write equal bytes. Its length is part of the state. NaN and
    infinities are written as Python's json does (`NaN`, `Infinity`).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timing_path: str | os.PathLike[str] | None = None,
        head: Callable[[Point | LogRecord], dict[str, Any]] | None = None,
    ) -> None:
        self.head = position if head is None else head
        path = Path(path)
        if path.suffix not in (".json", ".jsonl"):
            path = path / "metrics.jsonl"
        self.metrics = LineFile(path)
        self.timing = LineFile(timing_path or path.with_name("timing.jsonl"))

    @property
    def dropped(self) -> int:
        """Lines that the disk refused."""
        return self.metrics.dropped + self.timing.dropped

    def write(self, record: LogRecord) -> None:
        """Append the record's lines."""
        lines = list(metric_lines(record, self.head))
        if lines:
            self.metrics.append("".join(lines))
        self.timing.append(timing_line(record, self.head))

    def close(self) -> None:
        """Make everything durable and close both files."""
        for file in (self.metrics, self.timing):
            file.sync()
            file.close()

    def state_dict(self) -> dict[str, int]:
        """The durable lengths in bytes."""
        return {"metrics": self.metrics.sync(), "timing": self.timing.sync()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Cut both files to the lengths of the checkpoint."""
        self.metrics.truncate(state["metrics"])
        self.timing.truncate(state["timing"])


def position(item: Point | LogRecord) -> dict[str, Any]:
    """Where a value lies: tag, iteration, epoch, optimizer step and samples where known."""
    head: dict[str, Any] = {"tag": item.tag, "iter": item.iter, "epoch": item.epoch}
    if item.step is not None:
        head["step"] = item.step
    if item.samples is not None:
        head["samples"] = item.samples
    return head


Head = Callable[[Point | LogRecord], dict[str, Any]]


def metric_lines(record: LogRecord, head: Head = position) -> Iterator[str]:
    """The lines of a record: first values of earlier iterations, then the record itself."""
    for points in record.point_groups():
        yield _line(head(points[0]) | {p.name: p.value for p in points})
    if record.scalars:
        yield _line(head(record) | dict(record.scalars))


def timing_line(record: LogRecord, head: Head = position) -> str:
    """The wall-clock side of a record."""
    return _line(head(record) | {"wall_time": round(record.wall_time, 3)} | dict(record.timing))


def _line(entries: Mapping[str, Any]) -> str:
    return json.dumps(entries) + "\n"

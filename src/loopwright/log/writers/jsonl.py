"""JSONLWriter: a JSON object a line, reproducible to the byte; wall-clock figures apart."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loopwright.log.record import LogRecord, Point
from loopwright.log.writers.lines import LineFile

__all__ = ["JSONLWriter", "metric_lines", "timing_line"]


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
    ) -> None:
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
        lines = list(metric_lines(record))
        if lines:
            self.metrics.append("".join(lines))
        self.timing.append(timing_line(record))

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


def metric_lines(record: LogRecord) -> Iterator[str]:
    """The lines of a record: first values of earlier iterations, then the record itself."""
    for points in record.point_groups():
        head = _head(record.tag, *_where(points[0]))
        yield _line(head | {p.name: p.value for p in points})
    if record.scalars:
        head = _head(record.tag, *_where(record))
        yield _line(head | dict(record.scalars))


def timing_line(record: LogRecord) -> str:
    """The wall-clock side of a record."""
    head: dict[str, Any] = {"tag": record.tag, "iter": record.iter, "epoch": record.epoch}
    return _line(head | {"wall_time": round(record.wall_time, 3)} | dict(record.timing))


def _where(item: Point | LogRecord) -> tuple[int, int | None, int, int | None]:
    return item.iter, item.step, item.epoch, item.samples


def _head(
    tag: str, iteration: int, step: int | None, epoch: int, samples: int | None
) -> dict[str, Any]:
    head: dict[str, Any] = {"tag": tag, "iter": iteration, "epoch": epoch}
    if step is not None:
        head["step"] = step
    if samples is not None:
        head["samples"] = samples
    return head


def _line(entries: Mapping[str, Any]) -> str:
    return json.dumps(entries) + "\n"

"""detectron2's event writers: `write()` summarises the current storage on its own."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from loopwright.core import Progress
from loopwright.log.opened import get_event_storage
from loopwright.log.record import LogRecord, Point, RecordSpec, make_record
from loopwright.log.storage import EventStorage
from loopwright.log.writers.console import Pace, span
from loopwright.log.writers.jsonl import JSONLWriter
from loopwright.log.writers.tensorboard import TensorBoardWriter

__all__ = ["CommonMetricPrinter", "EventWriter", "JSONWriter", "TensorboardXWriter"]


class EventWriter:
    """Base of writers that look up the current storage when told to write."""

    def write(self) -> None:
        """Write what is new in the current storage."""
        raise NotImplementedError(f"{type(self).__name__} must define write()")

    def close(self) -> None:
        """Close what is open."""


class _RecordEventWriter(EventWriter):
    """Makes a record with a cursor of its own and hands it to a writer."""

    def __init__(self, writer: Any, reader: str, window_size: int) -> None:
        self.writer = writer
        self.spec = RecordSpec(window=window_size, reader=reader)

    def write(self) -> None:
        """Write every value put since the last time; a rare one under its own iteration."""
        storage = get_event_storage()
        record = make_record(storage, Progress(iter=storage.iter), self.spec)
        if not record.empty:
            self.writer.write(record)

    def close(self) -> None:
        """Close the file."""
        self.writer.close()

    def state_dict(self) -> dict[str, Any]:
        """Byte offsets."""
        return self.writer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the files to the checkpoint's offsets."""
        self.writer.load_state_dict(state)


class JSONWriter(_RecordEventWriter):
    """JSON lines with `iteration`; wall-clock figures go to `timing.jsonl` beside it."""

    def __init__(self, json_file: str | os.PathLike[str], window_size: int = 20) -> None:
        writer = JSONLWriter(json_file, head=_iteration)
        super().__init__(writer, f"json:{Path(json_file).name}", window_size)


def _iteration(item: Point | LogRecord) -> dict[str, Any]:
    return {"iteration": item.iter}


class TensorboardXWriter(_RecordEventWriter):
    """TensorBoard event files with scalars, images and histograms."""

    def __init__(
        self, log_dir: str | os.PathLike[str], window_size: int = 20, **kwargs: Any
    ) -> None:
        super().__init__(TensorBoardWriter(log_dir, **kwargs), "tensorboard", window_size)


class CommonMetricPrinter(EventWriter):
    """Says eta, iteration, losses, times, learning rate and memory through `logging`.

    Losses are every scalar with "loss" in its name and every one with "[metric]", as window
    medians where their smoothing hint allows it.
    """

    def __init__(self, max_iter: int | None = None, window_size: int = 20) -> None:
        self.logger = logging.getLogger("loopwright.log.events")
        self.max_iter, self.window_size = max_iter, window_size
        self._pace = Pace()

    def write(self) -> None:
        """Say one line; nothing once the run is over."""
        storage = get_event_storage()
        if self.max_iter is not None and storage.iter >= self.max_iter:
            return
        left = self._pace.update(storage.iter, self.max_iter, time.monotonic())
        eta = _median_eta(storage, self.max_iter)
        eta = left if eta is None else eta
        if eta is not None:
            storage.put_scalar("eta_seconds", eta, smoothing_hint=False)
        self.logger.info(_line(storage, eta, self.window_size))


def _median_eta(storage: EventStorage, limit: int | None) -> float | None:
    """The median of the last 1000 times, times what is left."""
    times = storage.histories().get("time")
    if times is None or limit is None:
        return None
    return times.median(1000) * (limit - storage.iter - 1)


def _line(storage: EventStorage, eta: float | None, window: int) -> str:
    latest = storage.latest_with_smoothing_hint(window)
    histories = storage.histories()
    parts = [] if eta is None else [f"eta: {span(eta)}"]
    parts.append(f"iter: {storage.iter}")
    parts += [f"{n}: {v:.4g}" for n, (v, _) in latest.items() if "loss" in n]
    parts += [f"{n}: {v:.4g}" for n, (v, _) in latest.items() if "[metric]" in n]
    if "time" in histories:
        parts.append(f"time: {histories['time'].global_avg():.4f}")
        parts.append(f"last_time: {histories['time'].latest():.4f}")
    if "data_time" in histories:
        parts.append(f"data_time: {histories['data_time'].avg(window):.4f}")
        parts.append(f"last_data_time: {histories['data_time'].latest():.4f}")
    if "lr" in histories:
        parts.append(f"lr: {histories['lr'].latest():.5g}")
    return "  ".join([*parts, *_memory()])


def _memory() -> list[str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [f"max_mem: {torch.cuda.max_memory_allocated() / 2**20:.0f}M"]

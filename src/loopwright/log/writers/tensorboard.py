"""TensorBoardWriter: scalars, images and histograms as TensorBoard event files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from loopwright.log.pictures import Histogram
from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["TensorBoardWriter"]

FLUSH_SECONDS = 2.0  # a flush waits for TensorBoard's own thread, ten times as long as a record
QUEUE = 1000  # events that wait for that thread; with its own limit of 10 a record waits too


class TensorBoardWriter(Tracker):
    """Writes event files into `log_dir` through torch.utils.tensorboard.

    Events are on the disk every two seconds and before each checkpoint. After a resume, events of
    iterations that are run again are purged by TensorBoard.

    Raises:
        ImportError: at once when tensorboard is not installed.
    """

    def __init__(self, log_dir: str | os.PathLike[str], **options: Any) -> None:
        super().__init__()
        optional("tensorboard", "loopwright[tensorboard]")
        self.log_dir, self.options = str(log_dir), {"max_queue": QUEUE, **options}
        self._flushed = time.monotonic()

    def open(self) -> Any:
        """A SummaryWriter that starts after the last iteration written."""
        library = optional("torch.utils.tensorboard", "loopwright[tensorboard]")
        options = dict(self.options)
        if self.last_iter >= 0:
            options.setdefault("purge_step", self.last_iter + 1)
        return library.SummaryWriter(log_dir=self.log_dir, **options)

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One event with all of them; an event each costs twice as much."""
        proto = optional("tensorboard.compat.proto.summary_pb2", "loopwright[tensorboard]")
        values = [proto.Summary.Value(tag=n, simple_value=float(v)) for n, v in numbers.items()]
        events = self.experiment._get_file_writer()
        events.add_summary(proto.Summary(value=values), iteration, record.wall_time or None)

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """One image event."""
        self.experiment.add_image(name, pixels, iteration, dataformats="HWC")

    def log_text(self, name: str, text: str) -> None:
        """One text event, shown as it is."""
        self.experiment.add_text(name, "```\n" + text + "\n```")

    def write(self, record: LogRecord) -> None:
        """Scalars, images, then histograms."""
        super().write(record)
        for histogram in record.histograms:
            self._log_histogram(histogram)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def state_dict(self) -> dict[str, Any]:
        """The last iteration written; everything up to it is on the disk."""
        self._flush()
        return super().state_dict()

    def _flush(self) -> None:
        if self._experiment is not None:
            self._experiment.flush()
        self._flushed = time.monotonic()

    def _log_histogram(self, histogram: Histogram) -> None:
        counts, low, high, total, squares = histogram.numbers()
        width = (high - low) / len(counts)
        self.experiment.add_histogram_raw(
            histogram.name,
            min=low,
            max=high,
            num=histogram.number,
            sum=total,
            sum_squares=squares,
            bucket_limits=[low + width * (i + 1) for i in range(len(counts))],
            bucket_counts=counts,
            global_step=histogram.iter,
        )

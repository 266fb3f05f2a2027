"""ClearMLWriter: a ClearML task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["ClearMLWriter"]


class ClearMLWriter(Tracker):
    """Reports through `clearml.Task.init(**init_kwargs)`.

    Raises:
        ImportError: at once when clearml is not installed.
    """

    def __init__(self, *, init_kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        optional("clearml", "clearml")
        self.options = dict(init_kwargs or {})

    def open(self) -> Any:
        """A `clearml.Task`."""
        return optional("clearml", "clearml").Task.init(**self.options)

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One point each; the part before the last slash is the plot's title."""
        logger = self.experiment.get_logger()
        for name, value in numbers.items():
            title = name.rpartition("/")[0] or name
            logger.report_scalar(title, name, value, iteration)

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """A reported image."""
        self.experiment.get_logger().report_image(name, name, iteration=iteration, image=pixels)

    def log_text(self, name: str, text: str) -> None:
        """A configuration object of the task."""
        self.experiment.connect_configuration({"text": text}, name=name)

"""NeptuneWriter: a Neptune run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["NeptuneWriter"]


class NeptuneWriter(Tracker):
    """Appends through `neptune.init_run(**init_kwargs)` (`mode="offline"` needs no network).

    Raises:
        ImportError: at once when neptune is not installed.
    """

    def __init__(self, *, init_kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        optional("neptune", "neptune")
        self.options = dict(init_kwargs or {})

    def open(self) -> Any:
        """A Neptune run."""
        return optional("neptune", "neptune").init_run(**self.options)

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One series each."""
        for name, value in numbers.items():
            self.experiment[name].append(value, step=iteration)

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """A series of images."""
        image = optional("neptune.types", "neptune").File.as_image(pixels)
        self.experiment[name].append(image, step=iteration)

    def log_text(self, name: str, text: str) -> None:
        """A field of the run."""
        self.experiment[name] = text

    def end(self, experiment: Any) -> None:
        """Stop the run."""
        experiment.stop()

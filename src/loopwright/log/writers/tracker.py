"""Tracker: what writers for experiment trackers share: naming, numbers, images, one run resumed."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from loopwright.log.record import LogRecord

__all__ = ["Tracker", "numbers_by_iter", "optional"]


def optional(module: str, extra: str) -> Any:
    """Import an optional library.

    Raises:
        ImportError: it is missing or broken; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise ImportError(
            f"this writer needs {module} ({type(error).__name__}: {error}); "
            f"install it with: pip install {extra}"
        ) from error


def numbers_by_iter(record: LogRecord) -> Iterator[tuple[int, dict[str, float]]]:
    """(iteration, numbers) of a record, earlier points first, wall-clock figures included.

    Names of training are bare (`loss`), those of evaluation carry their tag (`val/accuracy`).
    """
    prefix = "" if record.tag == "train" else record.tag + "/"
    for points in record.point_groups():
        yield points[0].iter, {prefix + p.name: p.value for p in points}
    values = {**record.scalars, **record.timing}
    if values:
        yield record.iter, {prefix + name: value for name, value in values.items()}


class Tracker(ABC):
    """Opens its run at the first record; `experiment` is the library's own object."""

    def __init__(self) -> None:
        self._experiment: Any = None
        self.last_iter = -1

    @property
    def experiment(self) -> Any:
        """The library's object, opened on first use."""
        if self._experiment is None:
            self._experiment = self.open()
        return self._experiment

    @abstractmethod
    def open(self) -> Any:
        """Open the run."""

    @abstractmethod
    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """Send numbers of one iteration."""

    @abstractmethod
    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """Send an image, uint8 of shape (H, W, C)."""

    @abstractmethod
    def log_text(self, name: str, text: str) -> None:
        """Send a text, such as the config."""

    def write(self, record: LogRecord) -> None:
        """Send the record."""
        for iteration, numbers in numbers_by_iter(record):
            self.log_numbers(numbers, iteration, record)
        for picture in record.images:
            self.log_image(picture.name, picture.array(), picture.iter)
        self.last_iter = max(self.last_iter, record.iter)

    def close(self) -> None:
        """End the run; never opens one."""
        if self._experiment is not None:
            self.end(self._experiment)
            self._experiment = None

    def end(self, experiment: Any) -> None:
        """Close the library's object."""
        experiment.close()

    def state_dict(self) -> dict[str, Any]:
        """The last iteration written."""
        return {"last_iter": self.last_iter}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.last_iter = state["last_iter"]

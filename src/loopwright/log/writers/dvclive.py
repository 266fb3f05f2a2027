"""DVCLiveWriter: metrics in DVCLive's folder layout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["DVCLiveWriter"]


class DVCLiveWriter(Tracker):
    """Logs through `dvclive.Live(dir=…, **init_kwargs)`.

    Raises:
        ImportError: at once when dvclive is not installed.
    """

    def __init__(
        self, save_dir: str | os.PathLike[str], *, init_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        optional("dvclive", "dvclive")
        self.options = {
            "dir": str(save_dir),
            "save_dvc_exp": False,
            "dvcyaml": None,
            **(init_kwargs or {}),
        }

    def open(self) -> Any:
        """A `dvclive.Live`."""
        return optional("dvclive", "dvclive").Live(**self.options)

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One line in each metric's file."""
        live = self.experiment
        live.step = iteration
        for name, value in numbers.items():
            live.log_metric(name, value)
        live.make_summary()

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """An image file."""
        self.experiment.step = iteration
        self.experiment.log_image(f"{name}_{iteration}.png", pixels)

    def log_text(self, name: str, text: str) -> None:
        """An artifact beside the metrics."""
        path = Path(self.experiment.dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def end(self, experiment: Any) -> None:
        """End the live session."""
        experiment.end()

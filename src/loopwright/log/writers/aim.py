"""AimWriter: a run in an Aim repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["AimWriter"]


class AimWriter(Tracker):
    """Tracks through `aim.Run`; `init_kwargs` go to it.

    Raises:
        ImportError: at once when aim is not installed.
    """

    def __init__(
        self, repo: str | None = None, *, init_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        optional("aim", "aim")
        self.options = {"repo": repo, **(init_kwargs or {})}

    def open(self) -> Any:
        """An `aim.Run`."""
        return optional("aim", "aim").Run(**self.options)

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One tracked value each; the tag of the record is the context."""
        for name, value in numbers.items():
            self.experiment.track(
                value, name=name, step=iteration, epoch=record.epoch, context={"tag": record.tag}
            )

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """A tracked image."""
        from_array = optional("PIL.Image", "loopwright[vision]").fromarray
        image = optional("aim", "aim").Image(from_array(pixels))
        self.experiment.track(image, name=name, step=iteration)

    def log_text(self, name: str, text: str) -> None:
        """A parameter of the run."""
        self.experiment[name] = text

"""What hooks and signals may ask of a run: to stop or to save at the next boundary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Requests:
    """Wishes with their reasons; loops grant them, nobody else acts on them.

    ``stopping`` is granted where the loop usually stops (an epoch's end in an epoch-based loop),
    ``halting`` and ``saving`` at the end of the current iteration.

    >>> wishes = Requests()
    >>> wishes.stop("no improvement for 5 epochs")
    >>> wishes.stopping
    'no improvement for 5 epochs'
    """

    stopping: str | None = None
    halting: str | None = None
    saving: str | None = None

    def stop(self, reason: str) -> None:
        """Ask to stop where the loop usually stops; the first reason stays."""
        self.stopping = self.stopping or reason

    def halt(self, reason: str) -> None:
        """Ask to stop at the end of the current iteration."""
        self.halting = self.halting or reason
        self.stop(reason)

    def save(self, reason: str) -> None:
        """Ask for a checkpoint at the end of the current iteration."""
        self.saving = self.saving or reason

    def saved(self) -> None:
        """A checkpoint was written: the wish is granted."""
        self.saving = None

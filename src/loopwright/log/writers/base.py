"""What a writer is, and the fan-out to several that drops the one that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from loopwright.log.record import LogRecord

__all__ = ["Writer", "WriterSet"]

_LOGGER = logging.getLogger("loopwright.log")


@runtime_checkable
class Writer(Protocol):
    """Takes records. `state_dict`/`load_state_dict` are optional (byte offsets of log files)."""

    def write(self, record: LogRecord) -> None: ...

    def close(self) -> None: ...


class WriterSet:
    """Several writers as one; a writer that raises is closed, dropped and named in one warning.

    `dropped` maps the name of a dropped writer to its error.
    """

    def __init__(self, writers: Iterable[Writer] = ()) -> None:
        self.writers: dict[str, Writer] = {}
        self.dropped: dict[str, str] = {}
        for writer in writers:
            self.add(writer)

    def add(self, writer: Writer) -> None:
        """Add a writer under its class name (numbered when there are several of a class)."""
        base = name = type(writer).__name__
        number = 2
        while name in self.writers:
            name, number = f"{base}-{number}", number + 1
        self.writers[name] = writer

    def write(self, record: LogRecord) -> None:
        """Hand the record to each; an empty one to none."""
        if not record.empty:
            for name, writer in list(self.writers.items()):
                self._attempt(name, writer.write, record)

    def call(self, method: str, *arguments: Any, **options: Any) -> None:
        """Call a method of each writer that has it."""
        for name, writer in list(self.writers.items()):
            act = getattr(writer, method, None)
            if act is not None:
                self._attempt(name, act, *arguments, **options)

    def close(self) -> None:
        """Close each, whatever the others do."""
        self.call("close")

    def state_dict(self) -> dict[str, Any]:
        """The state of the writers that have one, by name."""
        states = {}
        for name, writer in self.writers.items():
            save = getattr(writer, "state_dict", None)
            if save is not None:
                states[name] = save()
        return states

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give each writer its state back; one that is new starts as it is."""
        for name, writer in list(self.writers.items()):
            load = getattr(writer, "load_state_dict", None)
            if load is not None and name in state:
                self._attempt(name, load, state[name])

    def _attempt(self, name: str, act: Any, *arguments: Any, **options: Any) -> None:
        try:
            act(*arguments, **options)
        except Exception as error:
            writer = self.writers.pop(name)
            self.dropped[name] = f"{type(error).__name__}: {error}"
            _LOGGER.warning("the writer %s failed and is dropped: %s", name, self.dropped[name])
            self._close_quietly(writer)

    @staticmethod
    def _close_quietly(writer: Writer) -> None:
        try:
            writer.close()
        except Exception as error:
            _LOGGER.debug("closing the dropped %s failed too: %s", type(writer).__name__, error)

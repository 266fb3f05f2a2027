"""Background: a writer on its own thread behind a bounded queue, for slow or absent servers."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.base import Writer

__all__ = ["Background"]

_LOGGER = logging.getLogger("loopwright.log")


class Background:
    """Never makes the training wait: when `size` records are unsent, the next is dropped, counted.

    A failure of the writer is raised at the next `write`, so that a WriterSet drops it once.
    `close` waits at most `patience` seconds for what is queued.
    """

    def __init__(self, writer: Writer, *, size: int = 256, patience: float = 30.0) -> None:
        self.writer, self.patience, self.dropped = writer, patience, 0
        self._queue: queue.Queue[LogRecord] = queue.Queue(size)
        self._error: Exception | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, record: LogRecord) -> None:
        """Queue the record, or count it as dropped."""
        if self._error is not None:
            raise self._error
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._run, daemon=True, name="loopwright-log")
            self._thread.start()
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            if self.dropped == 1:
                name = type(self.writer).__name__
                _LOGGER.warning("%s is too slow: records are dropped and counted", name)

    def drain(self) -> bool:
        """Wait until everything queued is written; False when patience ended first."""
        deadline = time.monotonic() + self.patience
        while self._queue.unfinished_tasks and self._error is None:
            if self._thread is None or time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        """Write what is queued, end the thread, close the writer."""
        if self._thread is not None:
            if not self.drain():
                left = self._queue.unfinished_tasks
                _LOGGER.warning("%s: %d records unsent", type(self.writer).__name__, left)
                self.dropped += left
            self._ending.set()
            self._thread.join(1.0)
            self._thread = None
        self.writer.close()

    def state_dict(self) -> dict[str, Any]:
        """The writer's state once the queue is empty."""
        self.drain()
        save = getattr(self.writer, "state_dict", None)
        return save() if save is not None else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Pass the state on."""
        load = getattr(self.writer, "load_state_dict", None)
        if load is not None and state:
            load(state)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                record = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                if self._error is None:
                    self.writer.write(record)
            except Exception as error:
                self._error = error
            finally:
                self._queue.task_done()

"""One piece of work at a time on another thread; its error comes back at the next call."""

from __future__ import annotations

import threading
from collections.abc import Callable


class OneInFlight:
    """Runs one job beside the training; a second `start` waits for the first.

    >>> work = OneInFlight()
    >>> work.start(lambda: 1 / 0)
    >>> work.wait()
    Traceback (most recent call last):
    ...
    ZeroDivisionError: division by zero
    >>> work.wait()  # told once
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running now."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, job: Callable[[], object]) -> None:
        """Begin ``job`` once the one before is done; raises that one's error instead."""
        self.wait()
        # Not a daemon: an interpreter that ends with an error still finishes the save.
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint-save")
        self._thread.start()

    def wait(self) -> None:
        """Wait for the job; raise its error, once. On the job's own thread: nothing to wait for."""
        thread = self._thread
        if thread is threading.current_thread():
            return
        if thread is not None:
            thread.join()
            self._thread = None
        self.poll()

    def poll(self) -> None:
        """Raise the error of a job that has failed, once; never waits."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            self._error = error

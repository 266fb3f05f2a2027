"""Worker processes that can die or hang without the run noticing more than a pause.

Each worker has a pipe of its own, so one that dies cannot leave a lock behind that others need; its
unanswered tasks are given, in order, to a new process, which answers them with the same bits.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import torch.multiprocessing

from loopwright.data.faults import SampleError, WorkerError
from loopwright.data.fetch import Fetched, Task
from loopwright.data.wire import receive
from loopwright.data.work import work

HANG = 300.0
LONG_TASK = 4096


@dataclass(frozen=True)
class WorkerSettings:
    """How many workers, and how long and how often one may fail.

    ``timeout`` in seconds is how long a batch may take before its worker counts as hanging (0: for
    ever), ``restarts`` how often one batch is tried again, ``prefetch`` batches ahead a worker.
    """

    count: int
    persistent: bool = False
    prefetch: int = 2
    timeout: float = HANG
    restarts: int = 3
    context: str | None = None
    init: Callable[[int], Any] | None = None
    seed: int = 0


class Worker:
    """One process, its pipe, and the tasks it has not answered."""

    def __init__(self, number: int, fetch: Any, settings: WorkerSettings) -> None:
        self.number = number
        self.fetch = fetch
        self.settings = settings
        self.unanswered: deque[tuple[int, Any]] = deque()
        self.failures: dict[int, int] = {}
        self._start()

    def _start(self) -> None:
        # forking is what lets datasets hold functions, and starts in milliseconds
        usual = "fork" if sys.platform == "linux" else None
        context: Any = torch.multiprocessing.get_context(self.settings.context or usual)
        self.pipe, theirs = context.Pipe()
        self.stacks, stacks = context.Pipe(duplex=False)
        self.busy_with = context.RawValue("q", 0)
        from_main = threading.current_thread() is threading.main_thread()
        self.process = context.Process(
            target=work,
            args=(
                theirs,
                stacks,
                self.busy_with,
                self.fetch,
                self.number,
                self.settings,
                from_main,
            ),
            daemon=True,
            name=f"loader-worker-{self.number}",
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            self.process.start()
        theirs.close()
        stacks.close()

    def send(self, ticket: int, task: Any) -> None:
        self.unanswered.append((ticket, task))
        self._put((ticket, task))

    def _put(self, message: Any) -> None:
        # A dead one is no error yet: what is unanswered is asked again when its answer is due.
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def receive(self, ticket: int) -> tuple[Any, Any, Any]:
        """Wait for the answer to ``ticket``, restarting the process as often as it may be."""
        while True:
            answer, trouble = self._next_answer()
            if trouble is not None:
                self._revive(trouble)
            elif answer is not None:
                self.failures.pop(self.unanswered.popleft()[0], None)
                if answer[0] == ticket:
                    return answer[1], answer[2], answer[3]

    def _next_answer(self) -> tuple[Any, str | None]:
        patience = self.settings.timeout or None
        ready = wait([self.pipe, self.process.sentinel], patience)
        if self.pipe in ready:
            try:
                return receive(self.pipe), None
            except (EOFError, OSError):
                return None, self._death()
        if ready:
            return None, self._death()
        return None, f"hung for {patience:g} s{self._stack()}"

    def _death(self) -> str:
        self.process.join(5)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"ended by itself with exit code {code}"
        memory = "; out of memory?" if code == -9 else ""
        return f"was killed by signal {-code}{memory}"

    def _stack(self) -> str:
        """Where a hanging worker is, from its own faulthandler."""
        import signal

        try:
            os.kill(self.process.pid or 0, signal.SIGUSR2)
            said = b""
            until = time.monotonic() + 5.0
            while self.stacks.poll(max(0.0, min(0.3 if said else 5.0, until - time.monotonic()))):
                said += os.read(self.stacks.fileno(), 65536)
            return "; it was at:\n" + said.decode(errors="replace") if said else ""
        except (OSError, AttributeError):
            return ""

    def _revive(self, trouble: str) -> None:
        # The guilty task is the one it was at: those before it may be answered but not yet read.
        tasks = dict(self.unanswered)
        ticket = self.busy_with.value
        ticket = ticket if ticket in tasks else self.unanswered[0][0]
        asked, failures = tasks[ticket], self.failures.get(ticket, 0) + 1
        samples = asked.indices[:8] if isinstance(asked, Task) else []
        which = f"loader worker {self.number} (pid {self.process.pid}) {trouble}"
        loading = f" while loading samples {samples}" if samples else ""
        self.failures[ticket] = failures
        self.kill()
        if failures > self.settings.restarts:
            raise WorkerError(f"{which}{loading}, {failures} times")
        warnings.warn(f"{which}{loading}; a new one takes over its batches", stacklevel=4)
        self._start()
        for message in self.unanswered:
            self._put(message)

    def kill(self) -> None:
        """End the process at once; one that cannot be ended is left behind."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join(2)
        self.pipe.close()
        self.stacks.close()


class Pool:
    """The workers of one loader; batch ``k`` of a run is loaded by worker ``k mod count``."""

    def __init__(self, fetch: Any, settings: WorkerSettings) -> None:
        _allow_many_files()
        self.settings = settings
        self.workers = [Worker(number, fetch, settings) for number in range(settings.count)]
        self._tickets = 0
        self._end = weakref.finalize(self, _kill_all, self.workers, os.getpid())

    def send(self, number: int, task: Any) -> int:
        """Ask one worker; gives the ticket its answer is fetched with."""
        self._tickets += 1
        self.workers[number].send(self._tickets, task)
        return self._tickets

    def receive(self, number: int, ticket: int) -> Fetched:
        """The answer of one worker. Raises what the dataset raised there, or WorkerError."""
        batch, bad, failure = self.workers[number].receive(ticket)
        if failure is not None:
            raise _raised(failure, number)
        return Fetched(batch, bad)

    def run(self, tasks: Iterator[Task]) -> Iterator[Fetched]:
        """The batches of the tasks, in their order."""
        waiting: deque[tuple[int, int]] = deque()
        count = self.settings.count
        for place in range(count * self.settings.prefetch):
            task = next(tasks, None)
            if task is None:
                break
            waiting.append((place % count, self.send(place % count, task)))
            if len(task.indices) > LONG_TASK and place == count - 1:
                break  # tasks larger than a pipe's buffer: never two for a busy worker
        while waiting:
            number, ticket = waiting.popleft()
            fetched = self.receive(number, ticket)
            task = next(tasks, None)
            if task is not None:
                waiting.append((number, self.send(number, task)))
            yield fetched

    def close(self) -> None:
        """End all workers."""
        self._end()


def _allow_many_files() -> None:
    """Raise this process's limit of open files: shared tensors hold one each."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        if 0 <= soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _kill_all(workers: list[Worker], owner: int) -> None:
    if os.getpid() != owner:
        return  # a forked copy of the pool, in one of its workers
    for worker in workers:
        if worker.process.is_alive():
            worker.process.kill()
    for worker in workers:
        worker.kill()
    workers.clear()


def _raised(failure: tuple[str, str, str], number: int) -> Exception:
    import builtins

    kind, said, trace = failure
    known = {"SampleError": SampleError}.get(kind) or getattr(builtins, kind, None)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known, said = RuntimeError, f"{kind}: {said}"
    try:
        error = known(said)
    except TypeError:
        error = RuntimeError(f"{kind}: {said}")
    error.add_note(f"in loader worker {number}:\n{trace}")
    return error

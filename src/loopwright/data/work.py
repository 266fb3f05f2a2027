"""What runs inside a loader worker."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import torch

from loopwright.data.randomness import H, seed_sample
from loopwright.data.wire import send

if TYPE_CHECKING:
    from loopwright.data.workers import WorkerSettings

_PR_SET_PDEATHSIG = 1
_LOOK_UP = 5.0


def work(
    pipe: Connection,
    stacks: Connection,
    busy_with: Any,
    fetch: Any,
    number: int,
    settings: WorkerSettings,
    die_with_parent: bool,
) -> None:
    """Answer tasks until the pipe closes or the parent is gone."""
    parent = _settle(stacks, die_with_parent, settings.context)
    torch.set_num_threads(1)
    _say_who(number, settings, fetch.dataset)
    seed_sample(H(settings.seed, "worker"), 0, number)
    failure = None
    if settings.init is not None:
        try:
            settings.init(number)
        except Exception as error:
            failure = _told(error)
    while (message := _next(pipe, parent)) is not None:
        ticket, task = message
        busy_with.value = ticket
        if not _answer(pipe, ticket, task, fetch, failure):
            return


def _next(pipe: Connection, parent: int) -> Any:
    try:
        while not pipe.poll(_LOOK_UP):
            if os.getppid() != parent:
                return None
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _answer(pipe: Connection, ticket: int, task: Any, fetch: Any, failure: Any) -> bool:
    """Send the batch or what went wrong; False when nobody listens any more."""
    if failure is None:
        try:
            send(pipe, ticket, *fetch(task))
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False
        except Exception as error:
            failure = _told(error)
    try:
        pipe.send((ticket, None, (), failure, ()))
    except OSError:
        return False
    return True


def _told(error: BaseException) -> tuple[str, str, str]:
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return type(error).__name__, said, traceback.format_exc()


def _settle(stacks: Connection, die_with_parent: bool, context: str | None) -> int:
    """Signals, death with the parent, stack dumps; gives the pid whose loss ends the worker."""
    for name in ("SIGINT", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR2, file=stacks.fileno(), all_threads=True)
    if die_with_parent and sys.platform == "linux":
        # The kernel sends it when the *thread* that forked ends, hence only from the main thread.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if context == "forkserver" or parent is None or parent.pid is None:
        return os.getppid()
    return parent.pid


def _say_who(number: int, settings: WorkerSettings, dataset: Any) -> None:
    """Let ``torch.utils.data.get_worker_info()`` answer as in torch's own workers."""
    from torch.utils.data._utils import worker

    worker._worker_info = worker.WorkerInfo(
        id=number, num_workers=settings.count, seed=settings.seed + number, dataset=dataset
    )

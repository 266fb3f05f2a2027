"""Signals set a flag; the run acts on it at the end of the iteration, on every rank alike."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import torch

from loopwright.core import Requests
from loopwright.dist.collectives import all_reduce
from loopwright.dist.launch import cleanup
from loopwright.dist.place import barrier, get_comm_device

PREEMPTED = 75  # EX_TEMPFAIL: a checkpoint is written, run me again
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_ECHO = 1.0  # seconds in which a launcher passes on a signal that the process got already


@contextmanager
def listening(requests: Requests, *, usr1_halts: bool = False) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a wish to save and halt, SIGUSR1 into one to save.

    ``usr1_halts`` makes SIGUSR1 halt too, as a scheduler wants that sends it before the end.
    A second SIGTERM or SIGINT, more than a second later, ends the process at once; what is on the
    disk stays whole. (Sooner it is the first one again: a terminal or a scheduler signals every
    process, and a launcher among them passes it on.) Outside the main thread, where Python cannot
    listen, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    heard: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        heard.append(time.monotonic())
        if heard[-1] - heard[0] > _ECHO:
            os._exit(128 + number)
        requests.save(name)
        requests.halt(name)

    def save(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        requests.save(name)
        if usr1_halts:
            requests.halt(name)

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, save)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def agree(heard: Requests, granted: Requests, *, alone: bool = False) -> None:
    """Hand on what was heard; with several ranks, what any of them heard or was asked by a hook.

    A signal may come at any moment, also between two ranks' looks at their flags. So a run of
    several processes listens into a Requests of its own and acts on what all agreed on; where any
    was interrupted, all were. One small reduction an iteration; only such a run pays it.

    >>> heard, granted = Requests(), Requests()
    >>> heard.halt("SIGTERM")
    >>> agree(heard, granted, alone=True)
    >>> granted.halting
    'SIGTERM'
    """
    wishes = (
        heard.saving or granted.saving,
        heard.halting or granted.halting,
        heard.stopping or granted.stopping,
    )
    said = [*(wish is not None for wish in wishes), wishes[1] == "SIGINT"]
    if not alone:
        flags = torch.tensor(said, dtype=torch.float32).to(get_comm_device())
        all_reduce(flags, op="max")
        said = [flag > 0 for flag in flags.tolist()]
    saves, halts, stops, interrupted = said
    if saves:
        granted.save(wishes[0] or "another rank")
        heard.saved()
    if halts:
        granted.halt("SIGINT" if interrupted else wishes[1] or "another rank")
    if stops:
        granted.stop(wishes[2] or "another rank")


def leave(reason: str, where: str, *, code: int = PREEMPTED) -> NoReturn:
    """End this process after a halt, so that its caller does not go on as if all were done.

    Every rank must call it. They wait for one another first: a launcher kills the others as soon
    as one ends, and a rank that dies while its peers still talk to it takes them down by an abort.
    Raises KeyboardInterrupt after SIGINT, else SystemExit(code).
    """
    barrier()
    cleanup()
    if reason == "SIGINT":
        raise KeyboardInterrupt(f"stopped {where}")
    raise SystemExit(code)

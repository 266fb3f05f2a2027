"""Starting the processes of a training, and ending with them when a signal comes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Any

from torch.multiprocessing.spawn import ProcessExitedException, start_processes

from loopwright import dist

DEFAULT_TIMEOUT = timedelta(minutes=30)
_INTERRUPTED = 130
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def launch(
    main_func: Callable[..., Any],
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str | None = None,
    args: tuple[Any, ...] = (),
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> Any:
    """Call ``main_func(*args)`` in this process, or in one process for each GPU (or CPU).

    Under torchrun, Slurm or MPI the process group is theirs and ``main_func`` is called here. The
    group is left when it returns. SIGTERM, SIGINT and SIGUSR1 reach all processes; what they exit
    with (75: stopped, a checkpoint is written) is raised here as SystemExit, SIGINT as
    KeyboardInterrupt. Raises ValueError for ``dist_url='auto'`` on many machines.
    """
    launcher = dist.infer_launcher()
    if launcher != "none":
        return _under(launcher, main_func, args, timeout)
    world = num_machines * num_gpus_per_machine
    if world <= 1:
        return main_func(*args)
    if dist_url in (None, "auto"):
        if num_machines > 1:
            raise ValueError("dist_url='auto' works on one machine: give tcp://host:port")
        dist_url = f"tcp://127.0.0.1:{dist.find_free_port()}"
    given = (main_func, world, num_gpus_per_machine, machine_rank, dist_url, args, timeout)
    _run_all(num_gpus_per_machine, given)
    return None


def _under(launcher: str, main_func: Callable[..., Any], args: Any, timeout: timedelta) -> Any:
    """Call the function in the group of a launcher; leave the group if it was joined here."""
    joined = not dist.is_distributed()
    if joined:
        dist.init_dist(launcher, timeout=timeout)
    result = main_func(*args)
    if joined:
        dist.barrier()
        dist.cleanup()
    return result


def _run_all(count: int, args: tuple[Any, ...]) -> None:
    """Start the processes and wait for them, passing signals on; raise what they ended with."""
    started: list[int] = []
    try:
        with _passing_on(started):
            context = start_processes(
                _process, args=args, nprocs=count, join=False, start_method="spawn"
            )
            started += context.pids()
            while not context.join():
                pass
    except ProcessExitedException as error:
        if error.exit_code == _INTERRUPTED:
            raise KeyboardInterrupt("the processes were interrupted") from None
        if error.exit_code > 0:
            raise SystemExit(error.exit_code) from error
        raise


@contextmanager
def _passing_on(pids: Sequence[int]) -> Iterator[None]:
    """Send the processes what this one gets; before there are any, a signal ends this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def send(number: int, frame: FrameType | None) -> None:
        if not pids:
            raise SystemExit(128 + number)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    before = {number: signal.signal(number, send) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _process(
    local_rank: int,
    main_func: Callable[..., Any],
    world: int,
    per_machine: int,
    machine_rank: int,
    url: str,
    args: tuple[Any, ...],
    timeout: timedelta,
) -> None:
    """One of the processes that `launch` starts."""
    rank = machine_rank * per_machine + local_rank
    address, _, port = url.removeprefix("tcp://").rpartition(":")
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": str(local_rank),
        "LOCAL_WORLD_SIZE": str(per_machine),
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
    }
    dist.init_dist("pytorch", timeout=timeout)
    try:
        dist.init_local_group(machine_rank, per_machine)
        main_func(*args)
        dist.barrier()
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    finally:
        dist.cleanup()

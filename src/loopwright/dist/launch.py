"""Starting the process group from what torchrun, Slurm or MPI put into the environment."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import random
import re
import socket
import sys
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from torch import distributed as torch_dist

from loopwright.core.nearest import did_you_mean
from loopwright.dist.place import get_local_size, get_rank, get_world_size, set_local_group

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")

_left: list[Any] = []  # groups that were left; what ends their threads is dropping the last of them


def infer_launcher(environ: Mapping[str, str] | None = None) -> str:
    """Which launcher started this process.

    >>> infer_launcher({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"})
    'slurm'
    """
    env = os.environ if environ is None else environ
    if "WORLD_SIZE" in env and "RANK" in env:
        return "pytorch"
    if "SLURM_NTASKS" in env and "SLURM_PROCID" in env:
        return "slurm"
    return "mpi" if _mpi_names(env) is not None else "none"


def init_dist(
    launcher: str = "pytorch",
    backend: str | None = None,
    init_backend: str = "torch",
    timeout: float | timedelta | None = None,
    **how: Any,
) -> None:
    """Join the process group that ``launcher`` ('none', 'pytorch', 'slurm' or 'mpi') prepared.

    ``backend`` None chooses nccl where there is a GPU, else gloo; nccl without a GPU becomes gloo,
    with a warning. ``timeout`` is in seconds. Raises ValueError for an unknown launcher and
    RuntimeError when the launcher's variables are missing.
    """
    if launcher == "none":
        return
    if init_backend != "torch":
        raise ValueError(f"init_backend must be 'torch', got {init_backend!r}")
    os.environ.update(environment_of(launcher, os.environ))
    backend = choose_backend(backend, cuda=torch.cuda.is_available())
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    if timeout is not None:
        how["timeout"] = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
    importlib.import_module("torch.distributed.nn.functional")  # later, its defaults hold the group
    torch_dist.init_process_group(backend=backend, **how)
    atexit.register(_leave_at_exit)


def choose_backend(wanted: str | None, *, cuda: bool) -> str:
    """The backend to use.

    >>> choose_backend(None, cuda=False), choose_backend("auto", cuda=True)
    ('gloo', 'nccl')
    """
    if wanted is None or wanted == "auto":
        return "nccl" if cuda else "gloo"
    if wanted == "nccl" and not cuda:
        warnings.warn("dist_cfg.backend is 'nccl' but there is no GPU: using gloo", stacklevel=3)
        return "gloo"
    return wanted


def environment_of(launcher: str, environ: Mapping[str, str]) -> dict[str, str]:
    """RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT as ``launcher`` says them."""
    if launcher == "pytorch":
        return _torchrun(environ)
    if launcher == "slurm":
        return _slurm(environ)
    if launcher == "mpi":
        return _mpi(environ)
    hint = did_you_mean(launcher, LAUNCHERS)
    raise ValueError(f"launcher must be one of {', '.join(LAUNCHERS)}, got {launcher!r}{hint}")


def _needed(environ: Mapping[str, str], names: tuple[str, ...], launcher: str, how: str) -> None:
    missing = [name for name in names if name not in environ]
    if missing:
        raise RuntimeError(f"launcher={launcher!r}, but {', '.join(missing)} is not set: {how}")


def _torchrun(environ: Mapping[str, str]) -> dict[str, str]:
    _needed(environ, ("RANK", "WORLD_SIZE"), "pytorch", "start with `torchrun ...`")
    local = environ.get("LOCAL_RANK", environ["RANK"])
    return {
        "LOCAL_RANK": local,
        "MASTER_ADDR": environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": environ.get("MASTER_PORT", "29500"),
    }


def _slurm(environ: Mapping[str, str]) -> dict[str, str]:
    _needed(environ, ("SLURM_PROCID", "SLURM_NTASKS"), "slurm", "start with `srun ...`")
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_NODELIST", "127.0.0.1")
    job = int(environ.get("SLURM_JOB_ID", 0))
    return {
        "RANK": environ["SLURM_PROCID"],
        "WORLD_SIZE": environ["SLURM_NTASKS"],
        "LOCAL_RANK": environ.get("SLURM_LOCALID", "0"),
        "MASTER_ADDR": environ.get("MASTER_ADDR", first_host(nodes)),
        "MASTER_PORT": environ.get("MASTER_PORT", str(20000 + job % 20000)),
    }


def first_host(nodes: str) -> str:
    """The first name of a Slurm node list.

    >>> first_host("gpu[07-09,12],cpu1"), first_host("a-[1,3]-x"), first_host("one,two")
    ('gpu07', 'a-1-x', 'one')
    """
    match = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\])?([^,\[]*)", nodes)
    return "".join(part or "" for part in match.groups()) if match else nodes


_MPI = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK"),
)


def _mpi_names(environ: Mapping[str, str]) -> tuple[str, str, str] | None:
    return next((names for names in _MPI if names[0] in environ and names[1] in environ), None)


def _mpi(environ: Mapping[str, str]) -> dict[str, str]:
    names = _mpi_names(environ)
    if names is None:
        raise RuntimeError(
            "launcher='mpi', but none of OMPI_COMM_WORLD_RANK, PMI_RANK and MV2_COMM_WORLD_RANK "
            "is set: start with `mpirun ...`"
        )
    rank, size, local = names
    several = environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", environ[size]) != environ[size]
    if several and "MASTER_ADDR" not in environ:
        raise RuntimeError("launcher='mpi' on several machines: set MASTER_ADDR to the first one")
    return {
        "RANK": environ[rank],
        "WORLD_SIZE": environ[size],
        "LOCAL_RANK": environ.get(local, environ[rank]),
        "MASTER_ADDR": environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": environ.get("MASTER_PORT", "29500"),
    }


def init_local_group(node_rank: int = 0, num_gpus_per_node: int | None = None) -> None:
    """Make the group of each machine's processes; every process must call it."""
    size = num_gpus_per_node or get_local_size()
    for start in range(0, get_world_size(), size):
        ranks = list(range(start, min(start + size, get_world_size())))
        group = torch_dist.new_group(ranks)
        if get_rank() in ranks:
            set_local_group(group)


def cleanup() -> None:
    """Leave the process group."""
    if torch_dist.is_available() and torch_dist.is_initialized():
        set_local_group(None)
        _left.append(torch_dist.group.WORLD)
        torch_dist.destroy_process_group()


def _leave_at_exit() -> None:
    """End gloo's threads while there is an interpreter; one that frees a tensor later aborts it.

    The threads end with the last reference to their group. A model in a cycle holds one, and the
    frames of an uncaught error hold the model. Only a reference of Python's waits for the threads
    without the lock that they may want, so ours goes last.
    After an uncaught error nccl would wait here for peers that wait for us: it is left to die.
    """
    if hasattr(sys, "last_value") and torch_dist.is_nccl_available():
        return
    cleanup()
    for name in ("last_exc", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    gc.collect()
    _left.clear()


def find_free_port() -> int:
    """A TCP port that is free now, and not among those that outgoing connections are given."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port

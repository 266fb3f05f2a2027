"""Which process this is among how many; every answer is that of one process when there is one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import distributed as torch_dist

P = ParamSpec("P")
R = TypeVar("R")
Group = Any  # torch.distributed.ProcessGroup, or None for all processes

_local: list[Group] = []


def is_distributed() -> bool:
    """Whether a process group was started."""
    return torch_dist.is_available() and torch_dist.is_initialized()


def get_rank(group: Group = None) -> int:
    """Number of this process, from 0.

    >>> get_rank(), get_world_size()
    (0, 1)
    """
    return torch_dist.get_rank(group) if is_distributed() else 0


def get_world_size(group: Group = None) -> int:
    """How many processes train together."""
    return torch_dist.get_world_size(group) if is_distributed() else 1


def get_dist_info(group: Group = None) -> tuple[int, int]:
    """``(rank, world size)``."""
    return get_rank(group), get_world_size(group)


def get_local_rank() -> int:
    """Number of this process on its machine, as the launcher said."""
    return int(os.environ.get("LOCAL_RANK", 0)) if is_distributed() else 0


def get_local_size() -> int:
    """How many of the processes run on this machine."""
    if not is_distributed():
        return 1
    given = os.environ.get("LOCAL_WORLD_SIZE")
    return int(given) if given else get_world_size(get_local_group())


def is_main_process(group: Group = None) -> bool:
    """Whether this process writes files and speaks for all."""
    return get_rank(group) == 0


def master_only(func: Callable[P, R]) -> Callable[P, R | None]:
    """Let a function run in the main process alone; elsewhere it answers None."""

    @functools.wraps(func)
    def on_main(*args: P.args, **kwargs: P.kwargs) -> R | None:
        return func(*args, **kwargs) if is_main_process() else None

    return on_main


def barrier(group: Group = None) -> None:
    """Wait until every process is here."""
    if not is_distributed():
        return
    if get_backend(group) == "nccl":
        torch_dist.barrier(group, device_ids=[torch.cuda.current_device()])
        return
    torch_dist.barrier(group)


def get_backend(group: Group = None) -> str | None:
    """The backend's name, None when alone."""
    return str(torch_dist.get_backend(group)) if is_distributed() else None


def get_comm_device(group: Group = None) -> torch.device:
    """The device a tensor must be on to be sent."""
    if get_backend(group) == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def get_default_group() -> Group:
    """The group of all processes, None when alone."""
    return torch_dist.group.WORLD if is_distributed() else None


def get_local_group() -> Group:
    """The group of this machine's processes; all processes unless ``init_local_group`` was said."""
    return _local[-1] if _local else get_default_group()


def set_local_group(group: Group) -> None:
    """Remember the group of this machine's processes."""
    _local[:] = [] if group is None else [group]

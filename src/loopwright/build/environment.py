"""The process a run lives in: device, threads, back-ends, seed and folders."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from loopwright import dist
from loopwright.build.spec import RunSpec, check_section
from loopwright.config import ConfigError

ENV_KEYS = ("cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit", "num_threads", "device")
RANDOMNESS_KEYS = ("seed", "diff_rank_seed", "deterministic")


@dataclass(frozen=True, slots=True)
class Environment:
    """Facts of the process that do not change during a run."""

    device: torch.device
    rank: int
    world_size: int
    seed: int
    diff_rank_seed: bool
    deterministic: bool
    timestamp: str


def set_up(spec: RunSpec) -> Environment:
    """Start the process group, set threads and back-ends, choose device and seed."""
    check_section("env_cfg", spec.env_cfg, ENV_KEYS)
    check_section("randomness", spec.randomness, RANDOMNESS_KEYS)
    env = spec.env_cfg
    if spec.launcher != "none" and not dist.is_distributed():
        dist.init_dist(spec.launcher, **dict(env.get("dist_cfg") or {}))
    torch.backends.cudnn.benchmark = bool(env.get("cudnn_benchmark", False))
    if env.get("num_threads"):
        torch.set_num_threads(int(env["num_threads"]))
    _start_method(env.get("mp_cfg") or {})
    _open_files(int(env.get("resource_limit", 4096)))
    seed = _choose_seed(spec.randomness)
    return Environment(
        device=_choose_device(env.get("device")),
        rank=dist.get_rank(),
        world_size=dist.get_world_size(),
        seed=seed,
        diff_rank_seed=bool(spec.randomness.get("diff_rank_seed", False)),
        deterministic=bool(spec.randomness.get("deterministic", False)),
        timestamp=dist.broadcast_object(time.strftime("%Y%m%d_%H%M%S")),  # one folder for all
    )


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed python, numpy and torch, so that building the model is the same on every rank."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)


def _choose_seed(randomness: dict[str, Any]) -> int:
    seed = randomness.get("seed")
    if seed is None:
        return int(dist.sync_random_seed())
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError(f"randomness.seed must be a whole number or None, got {seed!r}")
    return seed


def _choose_device(name: str | None) -> torch.device:
    if name is not None:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def _start_method(mp_cfg: dict[str, Any]) -> None:
    check_section("env_cfg.mp_cfg", mp_cfg, ("mp_start_method", "opencv_num_threads"))
    method = mp_cfg.get("mp_start_method")
    if method and torch.multiprocessing.get_start_method(allow_none=True) != method:
        torch.multiprocessing.set_start_method(method, force=True)


def _open_files(limit: int) -> None:
    """Loader workers pass tensors by file descriptors; the soft limit is often 1024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < limit:
        wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

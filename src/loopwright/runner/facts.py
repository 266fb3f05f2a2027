"""What a run ran on: versions, device, threads and commit, from a list of harmless facts."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("loopwright", "torch", "numpy", "torchvision", "timm", "safetensors", "tensorboard")
VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
)


def facts(runner: Any) -> dict[str, Any]:
    """The environment of a run; nothing is in it but what is listed here."""
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "cuda": torch.version.cuda,
        "device": _device(runner.device),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "world_size": runner.world_size,
        "seed": runner.seed,
        "commit": commit_of(Path.cwd()),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device(device: torch.device) -> str:
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def commit_of(folder: Path) -> str | None:
    """The git commit checked out in a folder or above it, read from git's files; None without."""
    for place in (folder, *folder.parents):
        if (place / ".git").is_dir():
            return _head(place / ".git")
    return None


def _head(git: Path) -> str | None:
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).exists():
            return (git / name).read_text(encoding="utf-8").strip()
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)

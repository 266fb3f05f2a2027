"""Which device a run uses, under MMEngine's names."""

from __future__ import annotations

import torch

__all__ = ["get_device", "get_max_cuda_memory", "is_cuda_available", "is_mps_available"]


def is_cuda_available() -> bool:
    return torch.cuda.is_available()


def is_mps_available() -> bool:
    return torch.backends.mps.is_available()


def get_device() -> str:
    """``"cuda"``, ``"mps"`` or ``"cpu"``."""
    if is_cuda_available():
        return "cuda"
    return "mps" if is_mps_available() else "cpu"


def get_max_cuda_memory(device: torch.device | None = None) -> int:
    """Megabytes allocated at most since the last call."""
    peak = torch.cuda.max_memory_allocated(device=device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak // 2**20

"""Checkpoint functions under MMEngine's names, over our reader and writer."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from loopwright.build.environment import seed_everything
from loopwright.checkpoint import Store, find_state_dict, load_any, load_weights
from loopwright.compat.mm_device import get_device

__all__ = [
    "CheckpointLoader",
    "autocast",
    "find_latest_checkpoint",
    "load_checkpoint",
    "load_state_dict",
    "save_checkpoint",
    "set_random_seed",
    "weights_to_cpu",
]


class CheckpointLoader:
    """Reads a checkpoint as data."""

    @classmethod
    def load_checkpoint(cls, filename: str, map_location: Any = "cpu", logger: Any = None) -> Any:
        return read_checkpoint(filename, map_location)


def load_checkpoint(
    model: nn.Module,
    filename: str,
    map_location: Any = "cpu",
    strict: bool = False,
    logger: Any = None,
    revise_keys: Any = ((r"^module\.", ""),),
) -> Any:
    """Load weights from a file or checkpoint folder into a model; the checkpoint."""
    checkpoint = read_checkpoint(filename, map_location)
    return put_into_model(model, checkpoint, strict, logger, revise_keys)


def read_checkpoint(filename: str, map_location: Any = None, logger: Any = None) -> Any:
    """A checkpoint, read as data; a run's has its ``meta`` beside the rest, as in one file."""
    state = load_any(filename, map_location=map_location or "cpu")
    if isinstance(state, dict) and "meta" not in state and os.path.isdir(filename):
        folder, name = os.path.split(os.path.abspath(filename))
        told = [entry.meta for entry in Store(folder).entries() if entry.name == name]
        return {**state, "meta": dict(told[0])} if told else state
    return state


def put_into_model(
    model: nn.Module,
    checkpoint: Any,
    strict: bool = False,
    logger: Any = None,
    revise_keys: Any = ((r"^module\.", ""),),
) -> Any:
    """Load the weights of a checkpoint that was read into a model; the checkpoint."""
    load_weights(model, find_state_dict(checkpoint), strict=strict, revise_keys=revise_keys)
    return checkpoint


def read_below(prefix: str, filename: str, map_location: Any = None) -> dict[str, Any]:
    """The weights below a prefix (``backbone.``), named without it. KeyError for none."""
    start = prefix.removesuffix(".") + "."
    weights = find_state_dict(read_checkpoint(filename, map_location))
    found = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
    if not found:
        raise KeyError(f"{filename} has no weights below {prefix!r}")
    return found


def load_state_dict(
    module: nn.Module, state_dict: dict[str, Any], strict: bool = False, logger: Any = None
) -> None:
    load_weights(module, state_dict, strict=strict)


def save_checkpoint(checkpoint: Any, filename: str, **options: Any) -> None:
    """Write a checkpoint whole or not at all: a folder, or one file if the name ends in .pth."""
    folder, name = os.path.split(os.path.abspath(filename))
    meta = checkpoint.get("meta", {}) if isinstance(checkpoint, dict) else {}
    step = meta.get("iter", 0) if isinstance(meta, dict) else 0
    Store(folder).save(name, checkpoint, step=int(step))


def find_latest_checkpoint(path: str) -> str | None:
    """The newest whole checkpoint of a run folder."""
    newest = Store(path).newest()
    return None if newest is None else str(newest.path)


def weights_to_cpu(state_dict: dict[str, Any]) -> dict[str, Any]:
    return {k: v.cpu() if isinstance(v, torch.Tensor) else v for k, v in state_dict.items()}


def set_random_seed(
    seed: int | None = None, deterministic: bool = False, diff_rank_seed: bool = False
) -> int:
    """Seed Python, numpy and torch."""
    chosen = 0 if seed is None else seed
    seed_everything(chosen, deterministic=deterministic)
    return chosen


def autocast(
    device_type: str | None = None,
    dtype: torch.dtype | None = None,
    enabled: bool = True,
    cache_enabled: bool | None = None,
) -> torch.autocast:
    """torch's, on the device that models go to where none is named."""
    return torch.autocast(
        device_type or get_device(), dtype=dtype, enabled=enabled, cache_enabled=cache_enabled
    )

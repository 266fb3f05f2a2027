"""Scaling the lr with the batch size, with the sum spelled out."""

from __future__ import annotations

from typing import Any


def auto_scale(base_lr: float, base_batch: int, real_batch: int) -> float:
    """The lr for a batch, from the lr that was found for another.

    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.

    >>> auto_scale(0.02, base_batch=16, real_batch=2)
    0.0025
    """
    if base_batch <= 0 or real_batch <= 0:
        raise ValueError(f"batch sizes must be positive, got {base_batch} and {real_batch}")
    return base_lr * (real_batch / base_batch)


def scale_lr(
    optim_wrapper: Any, auto_scale_lr: dict[str, Any] | None, real_batch: int
) -> list[str]:
    """Scale the lr of every group by `real_batch` over `base_batch_size`; gives the sums made.

    `real_batch` is what one update sees: batch size times ranks times accumulated batches.
    Nothing happens without `auto_scale_lr` or without `enable=True`. Must come before the param
    schedulers are built, which remember the lr they find.
    """
    if not auto_scale_lr or not auto_scale_lr.get("enable", False):
        return []
    if "base_batch_size" not in auto_scale_lr:
        raise ValueError("auto_scale_lr needs `base_batch_size`, the batch its lr was found for")
    base = auto_scale_lr["base_batch_size"]
    named = optim_wrapper.items() if hasattr(optim_wrapper, "items") else [("", optim_wrapper)]
    return [line for name, one in named for line in _scale(name, one.optimizer, base, real_batch)]


def _scale(name: str, optimizer: Any, base: int, real: int) -> list[str]:
    sums: dict[str, None] = {}
    for group in optimizer.param_groups:
        old, new = group["lr"], auto_scale(group["lr"], base, real)
        group["lr"] = new
        where = f"{name}: " if name else ""
        sums[f"{where}lr {old:g} x {real} / {base} = {new:g}"] = None
    return list(sums)

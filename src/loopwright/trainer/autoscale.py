"""Scaling a config to another number of processes, by the linear rule."""

from __future__ import annotations

from typing import Any

from loopwright.config import ConfigDict, ConfigError
from loopwright.config.node import duplicate
from loopwright.trainer.cfgnode import CfgNode


def auto_scale_workers(cfg: Any, num_workers: int) -> Any:
    """The config for ``num_workers`` processes when it was written for ``reference_world_size``.

    Total batch and learning rate grow with the processes, iterations and periods shrink. A config
    without ``train.reference_world_size`` (or with 0), or ``SOLVER.REFERENCE_WORLD_SIZE``, comes
    back as it is.

    >>> cfg = {"train": {"reference_world_size": 2, "max_iter": 100}, "optimizer": {"lr": 0.1},
    ...        "dataloader": {"train": {"total_batch_size": 8}}}
    >>> scaled = auto_scale_workers(cfg, 4)
    >>> scaled["train"]["max_iter"], scaled["optimizer"]["lr"]
    (50, 0.2)
    """
    if "SOLVER" in cfg:
        return _scale_solver(cfg, num_workers)
    reference = (cfg.get("train") or {}).get("reference_world_size", 0)
    if not reference or reference == num_workers:
        return cfg
    scale = num_workers / reference
    scaled = ConfigDict(duplicate(cfg if isinstance(cfg, ConfigDict) else ConfigDict(cfg)))
    train, loader = scaled["train"], scaled["dataloader"]["train"]
    train["reference_world_size"] = num_workers
    _times(scaled["optimizer"], "lr", scale)
    if "total_batch_size" in loader:
        batch = loader["total_batch_size"]
        if batch % reference:
            raise ConfigError(f"total_batch_size {batch} is no multiple of {reference} processes")
        loader["total_batch_size"] = batch // reference * num_workers
    for section, key in (
        (train, "max_iter"),
        (train, "eval_period"),
        (train.get("checkpointer") or {}, "period"),
    ):
        if key in section:
            section[key] = max(round(section[key] / scale), min(section[key], 1))
    return scaled


def _times(section: Any, key: str, factor: float) -> None:
    if key in section:
        section[key] = section[key] * factor


def _scale_solver(cfg: Any, num_workers: int) -> Any:
    """The same for detectron2's keys; the config given stays, a frozen one gives a frozen one."""
    reference = cfg["SOLVER"].get("REFERENCE_WORLD_SIZE", 0)
    if not reference or reference == num_workers:
        return cfg
    scale = num_workers / reference
    scaled = CfgNode(cfg).clone()
    scaled.defrost()
    solver, test = scaled["SOLVER"], scaled["TEST"]
    batch = solver["IMS_PER_BATCH"]
    if batch % reference:
        raise ConfigError(f"SOLVER.IMS_PER_BATCH {batch} is no multiple of {reference} processes")
    solver["IMS_PER_BATCH"] = batch // reference * num_workers
    solver["BASE_LR"] *= scale
    for section, key in (
        (solver, "MAX_ITER"),
        (solver, "WARMUP_ITERS"),
        (solver, "CHECKPOINT_PERIOD"),
        (test, "EVAL_PERIOD"),
    ):
        section[key] = max(round(section[key] / scale), min(section[key], 1))
    solver["STEPS"] = tuple(round(step / scale) for step in solver["STEPS"])
    solver["REFERENCE_WORLD_SIZE"] = num_workers
    if hasattr(cfg, "is_frozen") and cfg.is_frozen():
        scaled.freeze()
    return scaled

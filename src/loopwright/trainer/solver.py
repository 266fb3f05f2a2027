"""Optimizer and learning rates from the ``SOLVER`` keys of a detectron2 config."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from loopwright.config import ConfigError
from loopwright.config.errors import nearest
from loopwright.config.provenance import origin_of
from loopwright.optim import OptimWrapper
from loopwright.optim.default_params import get_default_optimizer_params
from loopwright.optim.where import (
    CosineParamScheduler,
    LRMultiplier,
    MultiStepParamScheduler,
    ParamScheduler,
    StepWithFixedGammaParamScheduler,
    WarmupParamScheduler,
)

logger = logging.getLogger("loopwright.trainer")

SCHEDULES = ("WarmupMultiStepLR", "WarmupCosineLR", "WarmupStepWithFixedGammaLR")


def build_optimizer(cfg: Any, model: nn.Module) -> Any:
    """SGD over the model's parameters; with ``SOLVER.CLIP_GRADIENTS``, in an OptimWrapper.

    The wrapper clips in its ``step()``, once gradients have their true scale, and steps and zeroes
    like the optimizer in it.
    """
    solver = cfg["SOLVER"]
    groups = get_default_optimizer_params(
        model,
        base_lr=solver["BASE_LR"],
        weight_decay_norm=solver["WEIGHT_DECAY_NORM"],
        bias_lr_factor=solver["BIAS_LR_FACTOR"],
        weight_decay_bias=solver["WEIGHT_DECAY_BIAS"],
    )
    optimizer = torch.optim.SGD(
        groups,
        lr=solver["BASE_LR"],
        momentum=solver["MOMENTUM"],
        nesterov=solver["NESTEROV"],
        weight_decay=solver["WEIGHT_DECAY"],
    )
    return maybe_add_gradient_clipping(cfg, optimizer)


def maybe_add_gradient_clipping(cfg: Any, optimizer: Any) -> Any:
    """An optimizer (not a class of them) that clips as ``SOLVER.CLIP_GRADIENTS`` says, or itself.

    >>> from loopwright.trainer import get_cfg
    >>> cfg, weight = get_cfg(), nn.Parameter(torch.ones(1))
    >>> cfg.SOLVER.CLIP_GRADIENTS.ENABLED, cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = True, 0.5
    >>> optimizer = maybe_add_gradient_clipping(cfg, torch.optim.SGD([weight], lr=1.0))
    >>> (weight * 3).sum().backward(); optimizer.step(); weight.item()
    0.5
    """
    if isinstance(optimizer, type):
        raise TypeError(
            f"maybe_add_gradient_clipping takes an optimizer, not the class {optimizer.__name__}: "
            "clipping is no subclass here but an OptimWrapper around the optimizer"
        )
    clip = clip_of(cfg["SOLVER"]["CLIP_GRADIENTS"])
    return optimizer if clip is None else OptimWrapper(optimizer, clip_grad=clip)


def clip_of(section: Any) -> dict[str, Any] | None:
    """A ``CLIP_GRADIENTS`` section in the words of an OptimWrapper, None where it is off.

    ``CLIP_TYPE`` is "value" (each element), "norm" (each parameter by itself, as there) or
    "full_model" (all gradients as one vector).

    >>> clip_of({"ENABLED": True, "CLIP_TYPE": "norm", "CLIP_VALUE": 2.0, "NORM_TYPE": 2.0})
    {'type': 'norm', 'max_norm': 2.0, 'norm_type': 2.0, 'per': 'param'}
    """
    if not section["ENABLED"]:
        return None
    kind, limit = section["CLIP_TYPE"], float(section["CLIP_VALUE"])
    if kind == "value":
        return {"type": "value", "clip_value": limit}
    norm = {"type": "norm", "max_norm": limit, "norm_type": float(section["NORM_TYPE"])}
    if kind == "norm":
        return {**norm, "per": "param"}
    if kind == "full_model":
        return norm
    kinds = ("value", "norm", "full_model")
    raise ConfigError(
        f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE {kind!r} is none of {', '.join(kinds)}"
        f"{nearest(kind, kinds)}",
        origin_of(section, "CLIP_TYPE"),
    )


def build_lr_scheduler(cfg: Any, optimizer: Any) -> LRMultiplier:
    """The schedule that ``SOLVER.LR_SCHEDULER_NAME`` and its keys say, on an optimizer."""
    return LRMultiplier(optimizer, lr_curve(cfg["SOLVER"]), cfg["SOLVER"]["MAX_ITER"])


def lr_curve(solver: Any) -> ParamScheduler:
    """The multiplier of the base rate at each share of the run.

    >>> from loopwright.trainer import get_cfg
    >>> curve = lr_curve(get_cfg().SOLVER)
    >>> [round(curve(i / 40000), 5) for i in (0, 500, 1000, 30000, 39999)]
    [0.001, 0.5005, 1.0, 0.1, 0.1]
    """
    limit = solver["MAX_ITER"]
    return WarmupParamScheduler(
        _main_curve(solver),
        solver["WARMUP_FACTOR"],
        min(solver["WARMUP_ITERS"] / limit, 1.0),
        solver["WARMUP_METHOD"],
        solver["RESCALE_INTERVAL"],
    )


def _main_curve(solver: Any) -> ParamScheduler:
    """What follows the warm-up."""
    name, limit, gamma = solver["LR_SCHEDULER_NAME"], solver["MAX_ITER"], solver["GAMMA"]
    if name == "WarmupMultiStepLR":
        steps = [step for step in solver["STEPS"] if step <= limit]
        if len(steps) < len(solver["STEPS"]):
            logger.warning(
                "SOLVER.STEPS behind SOLVER.MAX_ITER=%d are never reached: %s", limit,
                [step for step in solver["STEPS"] if step > limit],
            )  # fmt: skip
        values = [gamma**k for k in range(len(steps) + 1)]
        return MultiStepParamScheduler(values, milestones=steps, num_updates=limit)
    if name == "WarmupCosineLR":
        return CosineParamScheduler(1.0, solver["BASE_LR_END"] / solver["BASE_LR"])
    if name == "WarmupStepWithFixedGammaLR":
        return StepWithFixedGammaParamScheduler(1.0, solver["NUM_DECAYS"], gamma, limit)
    raise ConfigError(
        f"SOLVER.LR_SCHEDULER_NAME {name!r} is none of {', '.join(SCHEDULES)}"
        f"{nearest(name, SCHEDULES)}; for another, override build_lr_scheduler",
        origin_of(solver, "LR_SCHEDULER_NAME"),
    )

"""Optimizers by name: which class, its defaults, and whether a fused kernel is chosen."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from loopwright.optim.find import find
from loopwright.optim.written import written
from loopwright.registry import OPTIMIZERS

_CHOICES = ("fused", "foreach", "capturable", "differentiable")
_NUMBERS = ("lr", "weight_decay", "momentum", "eps", "dampening", "eta", "alpha")
_FUSED_ON_CPU = ("Adam", "AdamW", "SGD", "Adagrad")
_NOT_OPTIONS = ("type", "_scope_", "params", "optimizer_type")
_SMALL = 1000
"""Below so many elements a fused kernel wins nothing, and torch's plain one is kept to the bit."""


def optimizer_class(cfg: dict[str, Any]) -> Any:
    """The class that a config's `type` means."""
    if "type" not in cfg:
        raise ValueError(f"optimizer needs `type`, got only {', '.join(cfg) or 'nothing'}")
    return find(cfg["type"], OPTIMIZERS, cfg)


def optimizer_defaults(cfg: dict[str, Any]) -> dict[str, Any]:
    """What a group gets where nothing is said: the class's defaults, and the config's values."""
    given = {k: v for k, v in cfg.items() if k not in _NOT_OPTIONS}
    kind = optimizer_class(cfg)
    if "optimizer_type" in cfg and kind.__name__ == "ZeroRedundancyOptimizer":
        kind = find(cfg["optimizer_type"], OPTIMIZERS, cfg)
    return _signature_defaults(kind) | given


@cache
def _signature_defaults(kind: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def build_optimizer(cfg: dict[str, Any], groups: Sequence[dict[str, Any]]) -> Optimizer:
    """The optimizer over the groups; a fused kernel where there is one and the config is silent."""
    kind = optimizer_class(cfg)
    params = [p for group in groups for p in group["params"]]
    chosen = {} if any(key in cfg for key in _CHOICES) else fastest(kind, params)
    known = copy(cfg)
    known["type"] = kind
    optimizer: Optimizer = OPTIMIZERS.build(known, params=list(groups), **chosen)
    return optimizer


def check_optimizer(cfg: Any) -> None:
    """TypeError for what is no optimizer config, or has a text where a number belongs."""
    if not isinstance(cfg, dict):
        raise TypeError(
            f"optimizer must be a dict such as dict(type='AdamW', lr=1e-3), got {cfg!r}"
        )
    for name in _NUMBERS:
        if isinstance(cfg.get(name), str):
            raise TypeError(
                f"optimizer.{name} must be a number, got {cfg[name]!r}{written(cfg, name)}"
            )


def fastest(kind: Any, params: Sequence[Tensor]) -> dict[str, bool]:
    """The switch that makes an optimizer of `torch.optim` fastest on these parameters.

    Fused where its kernel exists for the device and dtypes, else nothing: torch itself takes
    foreach on the devices where it helps.

    >>> import torch
    >>> fastest(torch.optim.AdamW, [torch.zeros(2000)])
    {'fused': True}
    >>> fastest(torch.optim.Rprop, [torch.zeros(2000)])
    {}
    """
    own = getattr(kind, "__module__", "").startswith("torch.optim")
    if not own or "fused" not in _signature_defaults(kind) or not params:
        return {}
    devices = {device.type for device in {p.device for p in params}}
    if not all(dtype.is_floating_point for dtype in {p.dtype for p in params}):
        return {}
    if devices == {"cpu"}:
        large = sum(p.numel() for p in params) >= _SMALL
        return {"fused": True} if large and kind.__name__ in _FUSED_ON_CPU else {}
    return {"fused": True} if devices <= {"cuda", "xpu", "mps"} else {}

"""The parameter groups of a config as a table, before any optimizer is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from loopwright.optim.build import without
from loopwright.optim.find import find
from loopwright.optim.groups import Decision
from loopwright.optim.unwrap import unwrap
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Groups (options, `params`, `param_names`), what decided each parameter, and findings."""

    groups: list[dict[str, Any]]
    decisions: list[Decision]
    findings: list[str]


def param_groups(model: nn.Module, cfg: dict[str, Any]) -> GroupPlan:
    """What an `optim_wrapper` config makes of a model's parameters.

    >>> cfg = dict(optimizer=dict(type="AdamW", lr=1e-3), paramwise_cfg=dict(bias_lr_mult=2.0))
    >>> plan = param_groups(nn.Linear(2, 2), cfg)
    >>> [(d.name, d.rule) for d in plan.decisions]
    [('weight', "the optimizer's own"), ('bias', 'bias_lr_mult')]
    >>> [g["lr"] for g in plan.groups]
    [0.001, 0.002]
    """
    kind = cfg.get("constructor") or "DefaultOptimWrapperConstructor"
    rest = without(cfg, "constructor", "paramwise_cfg")
    constructor = find(kind, OPTIM_WRAPPER_CONSTRUCTORS, cfg)(rest, cfg.get("paramwise_cfg"))
    if not hasattr(constructor, "groups"):
        raise TypeError(
            f"{type(constructor).__name__} has no `groups(model)`, so its groups are known only "
            "when the optimizer is built"
        )
    groups = constructor.groups(unwrap(model))
    return GroupPlan(groups, constructor.decisions, constructor.findings)

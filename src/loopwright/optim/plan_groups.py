"""The parameter groups of a config as a table, before any optimizer is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from loopwright.optim.build import without
from loopwright.optim.find import find
from loopwright.optim.groups import Decision
from loopwright.optim.multi import MultiOptimWrapperConstructor
from loopwright.optim.unwrap import unwrap
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS


class GroupsLaterError(TypeError):
    """A constructor of somebody's own, whose groups are known only when its optimizer is built."""

    known_later = True


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
    return _groups_of(make_constructor(cfg), unwrap(model))


def param_groups_of_each(model: nn.Module, cfg: dict[str, Any]) -> dict[str, GroupPlan]:
    """As `param_groups` for every optimizer of a config, by name; the only one has the name ''.

    Names of parameters are those in the whole model, also where an optimizer has but a part of it.

    >>> model = nn.ModuleDict({"g": nn.Linear(1, 1), "d": nn.Linear(1, 1)})
    >>> sgd = lambda lr: dict(optimizer=dict(type="SGD", lr=lr))
    >>> each = param_groups_of_each(
    ...     model, dict(constructor="MultiOptimWrapperConstructor", g=sgd(0.1), d=sgd(0.4)))
    >>> {name: plan.groups[0]["param_names"] for name, plan in each.items()}
    {'g': ['g.weight', 'g.bias'], 'd': ['d.weight', 'd.bias']}
    """
    constructor = make_constructor(cfg)
    model = unwrap(model)
    if not isinstance(constructor, MultiOptimWrapperConstructor):
        return {"": _groups_of(constructor, model)}
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        name: _renamed(param_groups(part, part_cfg), part, names)
        for name, part, part_cfg in constructor.members(model)
    }


def make_constructor(cfg: dict[str, Any]) -> Any:
    """The constructor of an `optim_wrapper` config, which checks its `paramwise_cfg`."""
    kind = cfg.get("constructor") or "DefaultOptimWrapperConstructor"
    rest = without(cfg, "constructor", "paramwise_cfg")
    return find(kind, OPTIM_WRAPPER_CONSTRUCTORS, cfg)(rest, cfg.get("paramwise_cfg"))


def _renamed(plan: GroupPlan, part: nn.Module, names: dict[int, str]) -> GroupPlan:
    """A plan of a part with the whole model's names."""
    whole = {name: names[id(p)] for name, p in part.named_parameters()}
    groups = [
        {**group, "param_names": [whole.get(n, n) for n in group["param_names"]]}
        for group in plan.groups
    ]
    decisions = [d._replace(name=whole.get(d.name, d.name)) for d in plan.decisions]
    return GroupPlan(groups, decisions, plan.findings)


def _groups_of(constructor: Any, model: nn.Module) -> GroupPlan:
    if not hasattr(constructor, "groups"):
        raise GroupsLaterError(
            f"{type(constructor).__name__} has no `groups(model)`, so its groups are known only "
            "when the optimizer is built"
        )
    groups = constructor.groups(model)
    return GroupPlan(groups, constructor.decisions, constructor.findings)

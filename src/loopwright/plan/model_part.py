"""The part of a plan that needs torch: the model's parameters, their groups, the memory they take.

The model is made on the meta device, without memory, where it allows that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from loopwright.optim.plan_groups import GroupPlan, param_groups
from loopwright.registry import DATASETS, MODELS

# Tensors of state an optimizer keeps for each parameter.
STATES = {
    "SGD": 1,
    "Adam": 2,
    "AdamW": 2,
    "LARS": 1,
    "LAMB": 2,
    "Lamb": 2,
    "RMSprop": 1,
    "Adagrad": 1,
}


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """One parameter group: how many tensors and numbers, their options, the rules that made it."""

    tensors: int
    parameters: int
    frozen: int
    options: dict[str, Any]
    rules: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedParameter:
    """One parameter by name: its shape, its group and the rule that put it there."""

    name: str
    shape: tuple[int, ...]
    group: int
    rule: str
    trainable: bool


@dataclass(frozen=True, slots=True)
class ModelPart:
    """What the model and the optimizer's rules make of each other."""

    groups: tuple[PlannedGroup, ...]
    parameters: tuple[PlannedParameter, ...]
    memory: dict[str, int]
    findings: tuple[str, ...]


def make_model(cfg: Any) -> nn.Module:
    """The model of a config on the meta device, or on the CPU where it needs real numbers."""
    try:
        with torch.device("meta"):
            model = MODELS.build(cfg)
    except (NotImplementedError, RuntimeError):
        model = MODELS.build(cfg)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, not a torch.nn.Module")
    return model


def read_model(model_cfg: Any, wrapper_cfg: dict[str, Any], *, ema: bool, world: int) -> ModelPart:
    """Groups, the rule of every parameter, and an estimate of memory in bytes."""
    model = make_model(model_cfg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = param_groups(model, wrapper_cfg)
    return ModelPart(
        groups=tuple(_groups(plan, wrapper_cfg.get("optimizer") or {})),
        parameters=tuple(_parameters(model, plan)),
        memory=memory_of(model, wrapper_cfg, ema=ema),
        findings=tuple(plan.findings),
    )


def _groups(plan: GroupPlan, optimizer: dict[str, Any]) -> Iterable[PlannedGroup]:
    base = {k: optimizer[k] for k in ("lr", "weight_decay") if k in optimizer}
    rules = {d.name: d.rule for d in plan.decisions}
    for group in plan.groups:
        params, names = list(group["params"]), tuple(group.get("param_names", ()))
        yield PlannedGroup(
            tensors=len(params),
            parameters=sum(p.numel() for p in params),
            frozen=sum(not p.requires_grad for p in params),
            options=base | {k: v for k, v in group.items() if k not in ("params", "param_names")},
            rules=tuple(dict.fromkeys(rules[n] for n in names if n in rules)),
            names=names,
        )


def _parameters(model: nn.Module, plan: GroupPlan) -> Iterable[PlannedParameter]:
    rules = {d.name: d.rule for d in plan.decisions}
    home = {id(p): i for i, group in enumerate(plan.groups) for p in group["params"]}
    for name, parameter in model.named_parameters():
        yield PlannedParameter(
            name=name,
            shape=tuple(parameter.shape),
            group=home.get(id(parameter), -1),
            rule=rules.get(name, "left out" if id(parameter) not in home else ""),
            trainable=parameter.requires_grad,
        )


def memory_of(model: nn.Module, wrapper_cfg: dict[str, Any], *, ema: bool) -> dict[str, int]:
    """Bytes for parameters, buffers, gradients, optimizer state and an averaged copy.

    Activations depend on the data and are not in it.
    """
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    optimizer = wrapper_cfg.get("optimizer") or {}
    kind = str(getattr(optimizer.get("type"), "dotted", optimizer.get("type")))
    kind = kind.rpartition(".")[2]
    states = STATES.get(kind, 2)
    if kind == "SGD" and not optimizer.get("momentum"):
        states = 0
    found = {
        "parameters": size,
        "buffers": sum(b.numel() * b.element_size() for b in model.buffers()),
        "gradients": trained,
        "optimizer state": trained * states,
        "averaged copy": size if ema else 0,
    }
    return {**found, "total": sum(found.values())}


def count_samples(dataset_cfg: Any) -> int:
    """How many samples the data set of a config holds (it is built, nothing is decoded)."""
    dataset = DATASETS.build(dataset_cfg) if isinstance(dataset_cfg, dict) else dataset_cfg
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    return len(dataset)

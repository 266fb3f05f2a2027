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

from loopwright.optim.optimizers import optimizer_defaults
from loopwright.optim.plan_groups import GroupPlan, make_constructor, param_groups_of_each
from loopwright.plan.optimizers import optimizers_of, stepping
from loopwright.registry import DATASETS, MODELS

# Tensors of state, as large as the parameter, that an optimizer keeps for each; others keep 2.
STATES = {"SGD": 1, "LARS": 1, "RMSprop": 1, "Adagrad": 1, "ASGD": 1, "Muon": 1}


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """One parameter group: how many tensors and numbers, their options, the rules that made it."""

    tensors: int
    parameters: int
    frozen: int
    options: dict[str, Any]
    rules: tuple[str, ...]
    names: tuple[str, ...]
    optimizer: str = ""


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
    dtypes: dict[str, int]


def make_model(cfg: Any, data_preprocessor: Any = None) -> nn.Module:
    """The model of a config on the meta device, or on the CPU where it needs real numbers."""
    given = isinstance(cfg, dict) and data_preprocessor is not None
    defaults = {"data_preprocessor": data_preprocessor} if given else {}
    try:
        with torch.device("meta"):
            model = MODELS.build(cfg, **defaults)
    except (NotImplementedError, RuntimeError):
        model = MODELS.build(cfg, **defaults)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, not a torch.nn.Module")
    return model


def read_model(
    model: nn.Module | None, wrapper_cfg: dict[str, Any], *, averaged: bool, ranks: int
) -> ModelPart | None:
    """Groups, the rule of every parameter, and an estimate of memory in bytes.

    Without a model only the constructor of the groups is made, which checks its rules; the
    answer is then None. ``ranks`` processes share what is sharded. Raises ValueError or TypeError
    for rules that do not hold.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if model is None:
            make_constructor(wrapper_cfg)
            return None
        plans = param_groups_of_each(model, wrapper_cfg)
    configs = optimizers_of({"optim_wrapper": wrapper_cfg})
    optimizers = {n: cfg.get("optimizer") or {} for n, cfg in configs.items()}
    return ModelPart(
        groups=tuple(g for n, plan in plans.items() for g in _groups(n, plan, optimizers[n])),
        parameters=tuple(_parameters(model, plans)),
        memory=memory_of(model, plans, optimizers, averaged=averaged, ranks=ranks),
        findings=tuple(_findings(model, plans)),
        dtypes=_dtypes(model),
    )


def _groups(name: str, plan: GroupPlan, optimizer: dict[str, Any]) -> Iterable[PlannedGroup]:
    known = optimizer_defaults(optimizer) | optimizer
    base = {k: known[k] for k in ("lr", "weight_decay") if k in known}
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
            optimizer=name,
        )


def _parameters(model: nn.Module, plans: dict[str, GroupPlan]) -> Iterable[PlannedParameter]:
    rules = {d.name: d.rule for plan in plans.values() for d in plan.decisions}
    groups = [group for plan in plans.values() for group in plan.groups]
    home = {id(p): i for i, group in enumerate(groups) for p in group["params"]}
    for name, parameter in model.named_parameters():
        yield PlannedParameter(
            name=name,
            shape=tuple(parameter.shape),
            group=home.get(id(parameter), -1),
            rule=rules.get(name, "left out" if id(parameter) not in home else ""),
            trainable=parameter.requires_grad,
        )


def _findings(model: nn.Module, plans: dict[str, GroupPlan]) -> Iterable[str]:
    """What the rules found, and of several optimizers who trains a parameter twice or not."""
    for plan in plans.values():
        yield from plan.findings
    if "" in plans:
        return
    names = {id(p): n for n, p in model.named_parameters() if p.requires_grad}
    owners: dict[int, list[str]] = {key: [] for key in names}
    for optimizer, plan in plans.items():
        for p in (p for group in plan.groups for p in group["params"] if id(p) in owners):
            owners[id(p)].append(optimizer)
    nobodys = [names[key] for key, held in owners.items() if not held]
    shared = [(names[key], held) for key, held in owners.items() if len(held) > 1]
    if nobodys:
        yield f"no optimizer trains {len(nobodys)} parameters: {', '.join(nobodys[:3])}"
    if shared:
        first, held = shared[0]
        yield f"{len(shared)} parameters are trained by {' and '.join(held)}: {first}"


def memory_of(
    model: nn.Module,
    plans: dict[str, GroupPlan],
    optimizers: dict[str, dict[str, Any]],
    *,
    averaged: bool,
    ranks: int,
) -> dict[str, int]:
    """Bytes for parameters, buffers, gradients, optimizer state and an averaged copy.

    ``ranks`` is how many processes share all but the buffers; the numbers are those of one
    process. Activations depend on the data and are not in it.
    """
    size = sum(_bytes(p) for p in model.parameters())
    trained = {
        n: [p for group in plan.groups for p in group["params"] if p.requires_grad]
        for n, plan in plans.items()
    }
    shared = {
        "parameters": size,
        "gradients": sum(_bytes(p) for held in trained.values() for p in held),
        "optimizer state": sum(
            _bytes(p) * _states(optimizers[n]) for n, held in trained.items() for p in held
        ),
        "averaged copy": size if averaged else 0,
    }
    found = {name: -(-number // ranks) for name, number in shared.items()}
    found["buffers"] = sum(_bytes(b) for b in model.buffers())
    return {**found, "total": sum(found.values())}


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _dtypes(model: nn.Module) -> dict[str, int]:
    """How many parameters there are of each number format."""
    found: dict[str, int] = {}
    for p in model.parameters():
        name = str(p.dtype).removeprefix("torch.")
        found[name] = found.get(name, 0) + p.numel()
    return found


def _states(optimizer: dict[str, Any]) -> int:
    """Tensors of state for each parameter, where the options change the number."""
    kind = stepping(optimizer)
    if kind == "SGD" and not optimizer.get("momentum"):
        return 0
    more = ("amsgrad", "centered") + (("momentum",) if kind == "RMSprop" else ())
    return STATES.get(kind, 2) + sum(bool(optimizer.get(key)) for key in more)


def count_samples(dataset_cfg: Any) -> int:
    """How many samples the data set of a config holds (it is built, nothing is decoded)."""
    dataset = DATASETS.build(dataset_cfg) if isinstance(dataset_cfg, dict) else dataset_cfg
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    return len(dataset)

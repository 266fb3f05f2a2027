"""The optimizers of a config by name, and what each starts from, from the config alone (pure)."""

from __future__ import annotations

from typing import Any

from loopwright.optim.auto_scale import auto_scale
from loopwright.optim.specs import kind_of
from loopwright.plan.facts import Facts

# What optimizers of torch and ours take where a config is silent; held to them by a test.
_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3, "momentum": 0.0, "weight_decay": 0.0},
    "Adam": _ADAM,
    "AdamW": {**_ADAM, "weight_decay": 0.01},
    "NAdam": {**_ADAM, "lr": 2e-3},
    "RAdam": _ADAM,
    "Adamax": {**_ADAM, "lr": 2e-3},
    "RMSprop": {"lr": 1e-2, "momentum": 0.0, "weight_decay": 0.0},
    "Adagrad": {"lr": 1e-2, "weight_decay": 0.0},
    "Adadelta": {"lr": 1.0, "weight_decay": 0.0},
}
SCHEDULED = ("lr", "momentum", "betas", "weight_decay")


def optimizers_of(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The `optim_wrapper` of each optimizer by name; the only one has the name ''.

    >>> adam = {"optimizer": {"type": "Adam"}}
    >>> list(optimizers_of({"optim_wrapper": adam}))
    ['']
    >>> list(optimizers_of({"optim_wrapper": {"constructor": "Many", "g": adam, "d": adam}}))
    ['g', 'd']
    """
    wrapper = values.get("optim_wrapper")
    if not isinstance(wrapper, dict):
        return {}
    if isinstance(wrapper.get("optimizer"), dict):
        return {"": wrapper}
    return {
        str(name): part
        for name, part in wrapper.items()
        if isinstance(part, dict) and isinstance(part.get("optimizer"), dict)
    }


def accumulation_of(wrapper: dict[str, Any]) -> int:
    """How many backwards one update of an optimizer takes."""
    counts = wrapper.get("accumulative_counts", 1)
    return counts if isinstance(counts, int) and counts >= 1 else 1


def schedules_of(cfg: Any, optimizer: str) -> Any:
    """What of a `param_scheduler` is for one optimizer: its own, or what all share."""
    if optimizer and isinstance(cfg, dict) and "type" not in cfg:
        return cfg.get(optimizer)
    return cfg


def entries_of(wrapper: dict[str, Any]) -> dict[str, Any]:
    """The entries a schedule may move, as an optimizer starts with them where they are known."""
    optimizer = wrapper.get("optimizer") or {}
    given = {k: v for k, v in optimizer.items() if k in SCHEDULED}
    return {**DEFAULTS.get(stepping(optimizer), {}), **given}


def stepping(optimizer: dict[str, Any]) -> str:
    """The name of the optimizer that makes the steps, also where its state is split.

    >>> stepping({"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW"})
    'AdamW'
    """
    if kind_of(optimizer) == "ZeroRedundancyOptimizer" and "optimizer_type" in optimizer:
        return kind_of({"type": optimizer["optimizer_type"]})
    return kind_of(optimizer)


def scaled(values: dict[str, Any], facts: Facts | None, notes: list[str]) -> dict[str, Any]:
    """The config with the learning rates that ``auto_scale_lr`` will make, which are noted."""
    scale = values.get("auto_scale_lr")
    batch = facts.effective_batch if facts is not None else None
    base = scale.get("base_batch_size") if isinstance(scale, dict) else None
    enabled = isinstance(scale, dict) and bool(scale.get("enable"))
    if not enabled or not batch or batch < 0 or not isinstance(base, int) or base <= 0:
        return values
    changed: dict[str, Any] = {}
    for name, wrapper in optimizers_of(values).items():
        before = entries_of(wrapper).get("lr")
        if not isinstance(before, int | float):
            continue
        lr = auto_scale(before, base, batch)
        where = f"{name}: " if name else ""
        notes.append(f"auto_scale_lr: {where}lr {before:g} x {batch} / {base} = {lr:g}")
        changed[name] = {**wrapper, "optimizer": {**wrapper["optimizer"], "lr": lr}}
    if "" in changed:
        return {**values, "optim_wrapper": changed[""]}
    return (
        {**values, "optim_wrapper": {**values["optim_wrapper"], **changed}} if changed else values
    )

"""Saved optimizer states: by parameter name, and fitted to another grouping (pure)."""

from __future__ import annotations

import warnings
from typing import Any

State = dict[str, Any]

KERNELS = ("fused", "foreach", "capturable", "differentiable")
"""How a step is computed: chosen for the device at hand, never taken from a saved state."""


def by_name(state: State) -> State:
    """An optimizer's state dict with names in place of numbers, where every group has names."""
    groups = state["param_groups"]
    if not all("param_names" in group for group in groups):
        return state
    names = _names_of(groups)
    return {
        "state": {names.get(key, key): value for key, value in state["state"].items()},
        "param_groups": [group | {"params": list(group["param_names"])} for group in groups],
    }


def for_layout(saved: State, own: State, order: list[str] | None) -> State:
    """`saved` as a state dict that the optimizer whose own state dict is `own` can load.

    `order` are the names of the model's parameters, for saved states that have only numbers.
    """
    if not _named(saved):
        if _lengths(saved) == _lengths(own):
            pairs = zip(saved["param_groups"], own["param_groups"], strict=True)
            return saved | {"param_groups": [theirs | _kernel(ours) for theirs, ours in pairs]}
        saved = _with_names(saved, order)
    groups = own["param_groups"]
    if not all("param_names" in group for group in groups):
        raise ValueError("a state saved by parameter name needs an optimizer built with names")
    index = {name: i for i, name in _names_of(groups).items()}
    _report(set(index), {n for g in saved["param_groups"] for n in g["params"]})
    owner = {name: group for group in saved["param_groups"] for name in group["params"]}
    return {
        "state": {index[n]: value for n, value in saved["state"].items() if n in index},
        "param_groups": [_group_like(group, owner) for group in groups],
    }


def _group_like(own: dict[str, Any], owner: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An own group with the saved options of its parameters."""
    found = [owner[name] for name in own["param_names"] if name in owner]
    if not found:
        return own
    options = {k: v for k, v in found[0].items() if k not in ("params", "param_names")}
    if any(group["lr"] != options["lr"] for group in found if "lr" in group):
        warnings.warn(
            f"parameters of one group ({own['param_names'][0]} and others) were saved with "
            f"different lr; taking {options['lr']}",
            stacklevel=2,
        )
    return own | options | _kernel(own)


def _kernel(group: dict[str, Any]) -> dict[str, Any]:
    return {key: group[key] for key in KERNELS if key in group}


def _named(state: State) -> bool:
    return any(isinstance(p, str) for g in state["param_groups"] for p in g["params"])


def _lengths(state: State) -> list[int]:
    return [len(group["params"]) for group in state["param_groups"]]


def _names_of(groups: list[dict[str, Any]]) -> dict[int, str]:
    return {
        number: name
        for group in groups
        for number, name in zip(group["params"], group["param_names"], strict=True)
    }


def _with_names(saved: State, order: list[str] | None) -> State:
    """Names for a state of numbers: its groups' own, else the model's parameters in order."""
    groups = saved["param_groups"]
    if all("param_names" in group for group in groups):
        return by_name(saved)
    numbers = [p for group in groups for p in group["params"]]
    if order is None or len(order) != len(numbers):
        raise ValueError(
            f"the saved optimizer state has {len(numbers)} parameters in {len(groups)} groups "
            f"without names; the model trains {len(order or [])}"
        )
    names = dict(zip(numbers, order, strict=True))
    return {
        "state": {names[key]: value for key, value in saved["state"].items()},
        "param_groups": [g | {"params": [names[p] for p in g["params"]]} for g in groups],
    }


def _report(own: set[str], saved: set[str]) -> None:
    if new := sorted(own - saved):
        warnings.warn(
            f"{len(new)} parameters have no saved optimizer state: {new[:5]}", stacklevel=3
        )
    if gone := sorted(saved - own):
        warnings.warn(
            f"saved optimizer state of {len(gone)} parameters that are not trained any more: "
            f"{gone[:5]}",
            stacklevel=3,
        )

"""MMEngine's functions on dicts and registries that have no other home here."""

from __future__ import annotations

from typing import Any

from loopwright.registry import ROOTS

__all__ = [
    "count_registered_modules",
    "merge_dict",
]


def merge_dict(*args: dict[str, Any]) -> dict[str, Any]:
    """One dict of several; the later win."""
    return {key: value for each in args for key, value in each.items()}


def count_registered_modules(save_path: str | None = None, verbose: bool = True) -> dict[str, Any]:
    """How many names each root registry and its children hold."""
    counts = {
        name: {each.scope: len(each.module_dict) for each in registry.family()}
        for name, registry in ROOTS.items()
    }
    if verbose:
        for name, by_scope in counts.items():
            print(name, by_scope)
    return {"registries": counts}

"""Optimization: parameter groups, optim wrappers, schedules. Names that need torch load lazily."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "AmpOptimWrapper": "amp",
    "BaseOptimWrapper": "wrapper",
    "DefaultOptimWrapperConstructor": "constructor",
    "OptimWrapper": "wrapper",
    "OptimWrapperDict": "many",
    "build_optim_wrapper": "build",
    "build_param_scheduler": "build",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])

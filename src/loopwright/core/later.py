"""Packages whose names are imported when they are first used: reading a config costs no torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported_later(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package; `homes` says which module of it holds a name.

    >>> get, names = imported_later("loopwright.core", {"every": "cadence"})
    >>> get("every")(10, 5), "every" in names()
    (True, True)
    >>> get("evry")
    Traceback (most recent call last):
    AttributeError: module 'loopwright.core' has no attribute 'evry'
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names

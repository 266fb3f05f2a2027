"""MMEngine's decorators of functions, and objects by their dotted names."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopwright.compat.mm_utils import is_installed

__all__ = [
    "deprecated_api_warning",
    "get_object_from_string",
    "requires_package",
]


def deprecated_api_warning(name_dict: Mapping[str, str], cls_name: str | None = None) -> Any:
    """A decorator: arguments by their old names are taken by their new ones, with a warning.

    >>> @deprecated_api_warning({"old": "new"})
    ... def double(new): return 2 * new
    >>> with warnings.catch_warnings(action="ignore"): double(old=2)
    4
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        name = f"{cls_name}.{function.__name__}" if cls_name else function.__name__

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in [key for key in kwargs if key in name_dict]:
                new = name_dict[old]
                if new in kwargs:
                    raise TypeError(f"{name}: {old!r} and {new!r} are one argument: give one")
                warnings.warn(
                    f"{name}: {old!r} is now called {new!r}", DeprecationWarning, stacklevel=2
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def requires_package(prerequisites: str | Sequence[str]) -> Any:
    """A decorator: ImportError when a function is called without the packages it needs."""
    names = [prerequisites] if isinstance(prerequisites, str) else list(prerequisites)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            absent = [name for name in names if not is_installed(name)]
            if absent:
                raise ImportError(f"{function.__name__} needs {', '.join(absent)}")
            return function(*args, **kwargs)

        return call

    return decorate


def get_object_from_string(obj_name: str) -> Any:
    """What a dotted name means, or None.

    >>> get_object_from_string("collections.OrderedDict").__name__
    'OrderedDict'
    """
    parts = obj_name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None

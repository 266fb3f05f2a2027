"""Values of a config held to what they must be: a number, a whole number, yes or no (no torch)."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from loopwright.core.nearest import nearest_or_all


def number(
    value: Any, name: str, *, least: float | None = None, above: float | None = None
) -> float:
    """The value, if it is a number (and at least `least`, more than `above`).

    >>> number(3, "max_norm", above=0)
    3
    >>> number("3", "max_norm")
    Traceback (most recent call last):
    TypeError: max_norm must be a number, got '3'
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    found: Any = value
    if least is not None and not found >= least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if above is not None and not found > above:
        raise ValueError(f"{name} must be more than {above}, got {value!r}")
    return found  # type: ignore[no-any-return]


def whole(value: Any, name: str, *, least: int) -> int:
    """The value, if it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def numbers(value: Any, name: str) -> list[float]:
    """The values, if they are a list of numbers."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of numbers, got {value!r}")
    return [number(one, f"{name}[{i}]") for i, one in enumerate(value)]


def truth(value: Any, name: str) -> bool:
    """The value, if it is True or False (or 1 or 0)."""
    if value not in (True, False):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def known(given: Iterable[Any], names: Iterable[str], owner: str) -> None:
    """TypeError for a name that is not among the known, with the nearest.

    >>> known(["max_nrom"], ["max_norm", "norm_type"], "clip_grad")
    Traceback (most recent call last):
    TypeError: clip_grad has no option 'max_nrom'; did you mean 'max_norm'?
    """
    there = list(names)
    for name in given:
        if name not in there:
            raise TypeError(f"{owner} has no option {name!r}{nearest_or_all(name, there)}")

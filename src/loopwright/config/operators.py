"""Operators and formatting, each bounded before it acts: ``'a' * 10**9`` is refused, not made."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from loopwright.config.deferred import Deferred
from loopwright.config.errors import TRUST_HINT, ConfigError
from loopwright.config.fresh import SYSTEM
from loopwright.config.limits import Fuel

Bounded = Callable[..., Any]
WIDTH_DIGITS = 4


def binary(fuel: Fuel, op: type, left: Any, right: Any) -> Any:
    """``left op right``."""
    for side in (left, right):
        if side.__class__ is int:
            fuel.number(side.bit_length())
    bounded = _BOUNDED.get(op)
    if bounded is not None:
        return bounded(fuel, left, right)
    plain = _BINARY.get(op)
    if plain is None:
        raise ConfigError(f"operator {op.__name__} is not supported")
    return plain(left, right)


def formatted(fuel: Fuel, value: Any, spec: str, conversion: int) -> str:
    """``format(value, spec)`` after ``!r`` or ``!s``: ``conversion`` is the letter's code or -1."""
    fuel.lettered(len(spec))
    fuel.lettered(_widths(spec))
    if not isinstance(value, str) or conversion in (ord("r"), ord("a")):
        fuel.spelled(value)
    value = spoken(value)
    if conversion == ord("r"):
        value = repr(value)
    elif conversion == ord("a"):
        value = ascii(value)
    elif conversion == ord("s") or isinstance(value, dict | list | tuple | set):
        value = str(value)
    return format(value, spec)


def known(name: Deferred) -> None:
    """Refuse to tell what only the system knows, such as ``sys.platform``."""
    if name.dotted.partition(".")[0] in SYSTEM:
        raise ConfigError(f"the value of {name.dotted} is {TRUST_HINT}")


class _Bare:
    """An imported name inside a text: the last word of it, as in MMEngine."""

    def __init__(self, name: Deferred) -> None:
        known(name)
        self.text = name.name or name.module

    def __repr__(self) -> str:
        return self.text


def spoken(value: Any) -> Any:
    """``value`` as it goes into a text: imported names by their last word."""
    kind = value.__class__
    if kind is Deferred:
        return _Bare(value)
    if isinstance(value, dict):
        return {spoken(key): spoken(child) for key, child in value.items()}
    if kind in (list, tuple, set):
        return kind([spoken(child) for child in value])
    return value


def _widths(spec: str) -> int:
    """The sum of the widths and precisions in a format, each of which must be small."""
    digits = "".join(char if char.isdigit() else " " for char in spec).split()
    if any(len(number) > WIDTH_DIGITS for number in digits):
        raise ConfigError(f"a format width of more than {WIDTH_DIGITS} digits")
    return sum(map(int, digits))


def power(fuel: Fuel, base: Any, exponent: Any, *modulus: Any) -> Any:
    """``base ** exponent``, refused where the result would be huge."""
    for part in (base, exponent, *modulus):
        fuel.weigh(part)
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0 and abs(base) > 1:
        fuel.number(base.bit_length() * (1 if modulus else exponent))
    return pow(base, exponent, *modulus)


def _multiply(fuel: Fuel, left: Any, right: Any) -> Any:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, int) and isinstance(one, str | bytes):
            fuel.lettered(len(one) * max(other, 0))
        elif isinstance(other, int) and isinstance(one, list | tuple):
            fuel.sized(len(one) * max(other, 0))
    if isinstance(left, int) and isinstance(right, int):
        fuel.number(left.bit_length() + right.bit_length())
    return left * right


def _add(fuel: Fuel, left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes) and isinstance(right, str | bytes):
        fuel.lettered(len(left) + len(right))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        fuel.sized(len(left) + len(right))
    return left + right


def _shift(fuel: Fuel, left: Any, right: Any) -> Any:
    fuel.number(left.bit_length() + right)
    return left << right


def _percent(fuel: Fuel, left: Any, right: Any) -> Any:
    if isinstance(left, bytes):
        raise ConfigError("% of bytes is not supported")
    if not isinstance(left, str):
        return left % right
    if "*" in left:
        raise ConfigError("'*' in a % format is not supported")
    again = left.count("%") if isinstance(right, dict) else 1
    fuel.lettered(len(left) + _widths(left) + fuel.spelled(right) * again)
    return left % spoken(right)


def _whole(plain: Callable[[Any, Any], Any]) -> Bounded:
    """An operator that may look through both sides: sets and dicts are paid for."""

    def apply(fuel: Fuel, left: Any, right: Any) -> Any:
        fuel.weigh(left)
        fuel.weigh(right)
        return plain(left, right)

    return apply


_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.RShift: operator.rshift,
}
_BOUNDED: dict[type, Bounded] = {
    ast.Add: _add,
    ast.Mult: _multiply,
    ast.Mod: _percent,
    ast.Pow: power,
    ast.LShift: _shift,
    ast.Sub: _whole(operator.sub),
    ast.BitOr: _whole(operator.or_),
    ast.BitAnd: _whole(operator.and_),
    ast.BitXor: _whole(operator.xor),
}

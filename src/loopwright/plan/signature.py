"""Whether a config dict fits the class or function it names: arguments and their types."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal, Union

from loopwright.core.nearest import did_you_mean
from loopwright.plan.finding import Finding, Node

_PLAIN = (bool, int, float, str, dict, list, tuple, type(None))
_ANY_CONTAINER = (list, tuple, Sequence)


def misfits(
    node: Node, target: Any, given: tuple[str, ...] = (), *, optional: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """What does not fit: unknown and missing arguments, and plain values of the wrong type.

    ``given`` are arguments that the run itself supplies, ``optional`` those that it supplies where
    the config does not.
    """
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return
    parameters = {
        n: p
        for n, p in signature.parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    keys = [k for k in node.value if k not in ("type", "_scope_")]
    takes = [p for p in parameters if p not in given]
    if open_ended:
        takes += _inherited(target)
        nearly = [k for k in keys if get_close_matches(str(k), takes, n=1, cutoff=0.85)]
        yield from _unknown(node, nearly, takes, target)
    else:
        yield from _unknown(node, keys, takes, target)
    yield from _missing(node, keys, parameters, given + optional, target)
    hints = _hints(target)
    for key in keys:
        if key in parameters and key in hints:
            yield from wrong_type(node, key, hints[key])


def _unknown(node: Node, keys: list[str], takes: list[str], target: Any) -> Iterator[Finding]:
    for key in keys:
        if key in takes:
            continue
        hint = did_you_mean(key, takes, cutoff=0.5)
        name = getattr(target, "__name__", target)
        yield node.error(
            f"{name} takes no argument {key!r}{hint} (it takes {', '.join(takes) or 'none'})", key
        )


def _inherited(target: Any) -> list[str]:
    """The arguments of base classes, to which a class with ``**kwargs`` may pass them on."""
    found: list[str] = []
    for kind in getattr(target, "__mro__", ())[1:-1]:
        if "__init__" in vars(kind):
            found += list(inspect.signature(kind.__init__).parameters)[1:]
    return found


def _missing(
    node: Node,
    keys: list[str],
    parameters: dict[str, inspect.Parameter],
    given: tuple[str, ...],
    target: Any,
) -> Iterator[Finding]:
    lacking = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and name not in keys and name not in given
    ]
    if lacking:
        name = getattr(target, "__name__", target)
        yield node.error(f"{name} needs {', '.join(map(repr, lacking))}", "type")


def _hints(target: Any) -> dict[str, Any]:
    try:
        owner = target.__init__ if inspect.isclass(target) else target
        return typing.get_type_hints(owner)
    except (NameError, TypeError, AttributeError):
        return {}


def wrong_type(node: Node, key: str, hint: Any) -> Iterator[Finding]:
    """An error where a plain value cannot be meant by a type hint."""
    value = node.value[key]
    if type(value) not in _PLAIN or fits(value, hint):
        return
    wanted = " or ".join(dict.fromkeys(_names(hint)))
    yield node.error(f"must be {wanted}, got {value!r}", key)


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value may be meant by a type hint; in doubt it may.

    >>> fits("1e-3", float), fits(1, float), fits([1, 2], tuple[int, int]), fits("a", int | None)
    (False, True, True, False)
    >>> fits([1, "5"], list[int]), fits((0.9, None), tuple[float, float])
    (False, False)
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    kind = origin or hint
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in _ANY_CONTAINER:
        return isinstance(value, list | tuple) and _fit_inside(value, kind, arguments)
    if kind in (bool, str, dict, type(None)):
        return isinstance(value, kind)
    return True


def _fit_inside(values: Any, kind: Any, hints: tuple[Any, ...]) -> bool:
    """Whether the plain items of a list or tuple may be meant; how many there are is not asked."""
    one_each = kind is tuple and len(hints) > 1 and hints[-1] is not Ellipsis
    each = hints if one_each else hints[:1] * len(values)
    pairs = zip(values, each, strict=False)
    return all(type(value) not in _PLAIN or fits(value, hint) for value, hint in pairs)


def _names(hint: Any) -> list[str]:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [n for one in typing.get_args(hint) for n in _names(one)]
    if hint is type(None):
        return ["None"]
    if typing.get_origin(hint) is Literal:
        return [repr(one) for one in typing.get_args(hint)]
    known = {float: "a number", int: "a whole number", str: "text", bool: "True or False"}
    kind = typing.get_origin(hint) or hint
    if kind in known:
        return [known[kind]]
    if kind in _ANY_CONTAINER:
        items = {int: " of whole numbers", float: " of numbers", str: " of texts"}
        inside = {items.get(one, "") for one in typing.get_args(hint) if one is not Ellipsis}
        return ["a list" + (inside.pop() if len(inside) == 1 else "")]
    return [{"dict": "a dict"}.get(kind.__name__, str(hint))]

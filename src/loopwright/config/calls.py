"""Calls in a config: ``dict(…)``, the listed functions, and methods by the type of their owner."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from loopwright.config import defined, elements, functions, methods
from loopwright.config.deferred import Deferred
from loopwright.config.errors import ConfigError
from loopwright.config.fresh import Defined, Fresh, adopt
from loopwright.config.node import ConfigDict, duplicate, make
from loopwright.config.provenance import Origin

if TYPE_CHECKING:
    from loopwright.config.evaluate import Evaluator

Origins = dict[Any, Origin]


def call(reader: Evaluator, node: ast.Call) -> Any:
    """The value of a call."""
    func = node.func
    if isinstance(func, ast.Name):
        if func.id == "dict" and "dict" not in reader.names:
            return _dict(reader, node)
        if func.id in _NAMESPACES and func.id not in reader.names:
            return _namespace(reader, node, func.id)
        target = reader.value(func)
        if isinstance(target, Defined):
            arguments, named = _arguments(reader, node)
            reader.at = node
            return defined.call(target, arguments, named)
        if not isinstance(target, Deferred):
            raise reader.refuse(node, f"calling {func.id!r}")
        return _function(reader, node, target)
    if isinstance(func, ast.Attribute):
        return _method(reader, node, func)
    raise reader.refuse(node, "this call")


def _dict(reader: Evaluator, node: ast.Call) -> Fresh:
    items: dict[Any, Any] = {}
    origins: Origins = {}
    file, value = reader.file, reader.value
    if node.args:
        if len(node.args) > 1:
            raise ConfigError("dict() takes at most one unnamed argument", reader.origin(node))
        spread(reader, node.args[0], items, origins, pairs=True)
    for keyword in node.keywords:
        name = keyword.arg
        if name is None:
            spread(reader, keyword.value, items, origins)
        else:
            items[name] = value(keyword.value)
            origins[name] = Origin(file, keyword.lineno, keyword.value)
    fresh: Fresh = make(items, origins, Fresh)
    return fresh


def spread(
    reader: Evaluator,
    node: ast.expr,
    items: dict[Any, Any],
    origins: Origins,
    *,
    pairs: bool = False,
) -> None:
    """``**node`` (or, with ``pairs``, the one argument of ``dict``) into ``items``."""
    value = reader.value(node)
    if pairs and not isinstance(value, dict):
        value = dict(functions.pairs(value, reader.fuel))
    if not isinstance(value, dict):
        raise ConfigError(f"** wants a dict, got {type(value).__name__}", reader.origin(node))
    reader.fuel.sized(len(items) + len(value))
    items.update(value)
    if isinstance(value, ConfigDict):
        origins.update(value.origins_of())


def _function(reader: Evaluator, node: ast.Call, target: Deferred) -> Any:
    builtin = target.module == "builtins"
    table = functions.FUNCTIONS if builtin else functions.PURE
    function = table.get(target.name if builtin else target.dotted)
    function = function or reader.environment.function(target.dotted)
    if function is None:
        raise reader.refuse(node, f"calling {target.dotted!r}")
    arguments, named = _arguments(reader, node)
    reader.at = node
    return function(reader.fuel, *arguments, **named)


_NAMESPACES = frozenset({"globals", "locals"})


def _namespace(reader: Evaluator, node: ast.Call, name: str) -> ConfigDict:
    """``globals()`` and, outside functions and comprehensions, ``locals()``: the file's names."""
    if node.args or node.keywords or (name == "locals" and reader.scopes):
        raise reader.refuse(node, f"{name!r} here")
    return reader.names


def _method(reader: Evaluator, node: ast.Call, func: ast.Attribute) -> Any:
    owner = reader.value(func.value)
    if isinstance(owner, Deferred):
        return _function(reader, node, reader.child(owner, func))
    method = methods.lookup(owner, func.attr)
    if method is None:
        raise reader.refuse(node, f"method {func.attr!r} of {type(owner).__name__}")
    arguments, named = _arguments(reader, node)
    reader.at = node
    if isinstance(owner, ConfigDict):
        return _of_dict(reader, node, owner, func.attr, arguments, named)
    if not isinstance(owner, list):
        return method(reader.fuel, owner, *arguments, **named)
    keep = elements.by_method(reader, node, owner, func.attr, arguments)
    result = method(reader.fuel, owner, *arguments, **named)
    keep()
    return result


def _arguments(reader: Evaluator, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    positional = reader.elements(node.args)
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            spread(reader, keyword.value, named, {})
        else:
            named[keyword.arg] = reader.value(keyword.value)
    return positional, named


def _of_dict(
    reader: Evaluator,
    node: ast.Call,
    owner: ConfigDict,
    name: str,
    args: list[Any],
    named: dict[str, Any],
) -> Any:
    """A method of a dict; inherited dicts behave as MMEngine's ConfigDict, fresh ones as dict."""
    fuel, fresh = reader.fuel, isinstance(owner, Fresh)
    if name == "update":
        return update(reader, node, owner, args, named)
    if name in ("keys", "values", "items"):
        fuel.sized(len(owner))
        return list(getattr(dict, name)(owner, *args))
    if name == "to_dict":
        fuel.weigh(owner)
        return duplicate(owner)
    for argument in args:
        fuel.weigh(argument)
    if name == "get":
        return dict.get(owner, *args, **named)
    if name == "pop" and len(args) == 1 and not fresh:
        args = [args[0], None]
    if name in ("merge", "setdefault") and not fresh:
        args = [*args[:-1], *map(adopt, args[-1:])] if name == "setdefault" else [adopt(args[0])]
    if name == "copy":
        fuel.weigh(owner)
    was_there = bool(args) and name == "setdefault" and args[0] in owner
    result = getattr(owner, name)(*args, **named)
    if name == "setdefault" and not was_there:
        owner.mark(args[0], reader.origin(node))
    return result


def update(
    reader: Evaluator, node: ast.AST, owner: ConfigDict, args: list[Any], named: dict[str, Any]
) -> None:
    """``owner.update``: a key's place is that of the given dict, or of the call's keyword."""
    place = reader.origin(node)
    own = {kw.arg: reader.origin(kw, kw.value) for kw in getattr(node, "keywords", ()) if kw.arg}
    for source in [*args, named] if named else args:
        given = source if isinstance(source, dict) else dict(functions.pairs(source, reader.fuel))
        reader.fuel.weigh(given)
        known = given.origins_of() if isinstance(given, ConfigDict) else own
        if not isinstance(owner, Fresh):
            part = {key: adopt(value) for key, value in given.items()}
            owner.update(make(part, {key: known.get(key, place) for key in part}))
            continue
        for key, value in given.items():
            before = owner.origins_of().get(key), dict.get(owner, key)
            dict.__setitem__(owner, key, value)
            owner.mark(key, known.get(key, place).over(*before))

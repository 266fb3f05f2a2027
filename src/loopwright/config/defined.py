"""Functions that a config defines: interpreted as the rest of the file is, within its bounds."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from loopwright.config.errors import ConfigError, nearest
from loopwright.config.fresh import Defined, Fresh
from loopwright.config.node import make

if TYPE_CHECKING:
    from loopwright.config.statements import Interpreter

UNBOUND: Any = type("Unbound", (), {"__repr__": lambda self: "unbound"})()


def define(reader: Interpreter, node: ast.FunctionDef) -> Defined:
    """The function that a ``def`` makes; its defaults are evaluated now, its body is not."""
    if node.decorator_list:
        raise reader.refuse(node, "a decorated function")
    spec = node.args
    names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
    defaults = dict(zip(names[len(names) - len(spec.defaults) :], map(reader.value, spec.defaults)))
    for arg, default in zip(spec.kwonlyargs, spec.kw_defaults):
        if default is not None:
            defaults[arg.arg] = reader.value(default)
    if node not in reader.locals:
        reader.locals[node] = frozenset(stored(node.body))
    return Defined(node.name, node, defaults, reader, tuple(reader.scopes))


def call(function: Defined, arguments: list[Any], named: dict[str, Any]) -> Any:
    """What the function returns; each statement of it is paid for, and calls nest only so deep."""
    reader: Interpreter = function.reader
    local = _bound(function, arguments, named)
    with reader.fuel.called(function.name):
        before = reader.scopes, reader.frame, reader.returned
        reader.scopes, reader.frame, reader.returned = [*function.scopes, local], local, None
        try:
            reader.block(function.node.body)
            return reader.returned
        finally:
            reader.scopes, reader.frame, reader.returned = before


def _bound(function: Defined, arguments: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    """The local names at the start of a call."""
    spec = function.node.args
    names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
    given = dict(zip(names, arguments))
    more, rest = arguments[len(names) :], dict(named)
    keywords = [*names[len(spec.posonlyargs) :], *(arg.arg for arg in spec.kwonlyargs)]
    for name in [name for name in rest if name in keywords]:
        if name in given:
            raise ConfigError(f"{function.name}() got two values for {name!r}")
        given[name] = rest.pop(name)
    if more and spec.vararg is None:
        raise ConfigError(f"{function.name}() takes {len(names)} values, got {len(arguments)}")
    if rest and spec.kwarg is None:
        unknown = min(rest)
        raise ConfigError(f"{function.name}() has no {unknown!r}{nearest(unknown, keywords)}")
    own = function.reader.locals[function.node]
    function.reader.fuel.spend((len(own) + len(names) + len(keywords)) >> 4)
    local = dict.fromkeys(own, UNBOUND) | function.defaults | given
    for name in (*names, *keywords):
        if name not in local or local[name] is UNBOUND:
            raise ConfigError(f"{function.name}() is given no {name!r}")
    if spec.vararg is not None:
        local[spec.vararg.arg] = tuple(more)
    if spec.kwarg is not None:
        local[spec.kwarg.arg] = make(rest, {}, Fresh)
    return local


def stored(body: Iterable[ast.AST]) -> set[str]:
    """The names that a function's body binds, which are therefore local to it."""
    return {name for node in body for name in _stored(node)}


def _stored(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    inner: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.comprehension):  # its own variables stay in it
        inner = (node.iter, *node.ifs)
    for child in inner:
        yield from _stored(child)

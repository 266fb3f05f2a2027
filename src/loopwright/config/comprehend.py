"""Comprehensions, ``for`` targets and tuple unpacking of a config."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from loopwright.config.errors import ConfigError
from loopwright.config.fresh import Fresh
from loopwright.config.functions import iterable, listed
from loopwright.config.node import make
from loopwright.config.provenance import Origin

if TYPE_CHECKING:
    from loopwright.config.evaluate import Evaluator


def list_of(reader: Evaluator, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
    """A list comprehension; a generator is made a list at once."""
    result: list[Any] = []
    _run(reader, node.generators, lambda: result.append(reader.value(node.elt)))
    return result


def set_of(reader: Evaluator, node: ast.SetComp) -> Any:
    result: list[Any] = []
    _run(reader, node.generators, lambda: result.append(reader.value(node.elt)))
    return reader.hashed(set, result)


def dict_of(reader: Evaluator, node: ast.DictComp) -> Any:
    items: dict[Any, Any] = {}
    origins: dict[Any, Origin] = {}

    def add() -> None:
        key = reader.value(node.key)
        reader.fuel.weigh(key)
        items[key] = reader.value(node.value)
        origins[key] = Origin(reader.file, node.key.lineno, node.value)

    _run(reader, node.generators, add)
    return make(items, origins, Fresh)


def _run(reader: Evaluator, generators: list[ast.comprehension], emit: Callable[[], None]) -> None:
    first = iterate(reader, generators[0].iter)
    reader.scopes.append({})
    try:
        _nest(reader, generators, first, emit)
    finally:
        reader.scopes.pop()


def _nest(
    reader: Evaluator,
    generators: list[ast.comprehension],
    items: Iterable[Any],
    emit: Callable[[], None],
) -> None:
    generator, rest = generators[0], generators[1:]
    for item in items:
        reader.fuel.spend(1)
        _bind(reader, generator.target, item)
        if not all(reader.value(test) for test in generator.ifs):
            continue
        if rest:
            _nest(reader, rest, iterate(reader, rest[0].iter), emit)
        else:
            emit()


def _bind(reader: Evaluator, target: ast.expr, value: Any) -> None:
    if isinstance(target, ast.Name):
        reader.scopes[-1][target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        unpack(reader, target, value, lambda part, item: _bind(reader, part, item))
    else:
        raise reader.refuse(target, "this loop variable")


def iterate(reader: Evaluator, node: ast.expr) -> Iterable[Any]:
    """What a loop goes through, as it is at each turn; the loop pays turn by turn."""
    return iterable(reader.value(node))


def unpack(
    reader: Evaluator,
    target: ast.Tuple | ast.List,
    value: Any,
    to: Callable[[ast.expr, Any], None],
) -> None:
    """Give each element of ``value`` to its target, with at most one starred one."""
    items = listed(reader.fuel, value)
    stars = [i for i, part in enumerate(target.elts) if isinstance(part, ast.Starred)]
    wanted = len(target.elts)
    if stars and len(items) >= wanted - 1:
        start, stop = stars[0], len(items) - (wanted - 1 - stars[0])
        items = [*items[:start], items[start:stop], *items[stop:]]
    if len(items) != wanted:
        raise ConfigError(f"{len(items)} values for {wanted} names", reader.origin(target))
    for part, item in zip(target.elts, items):
        to(part.value if isinstance(part, ast.Starred) else part, item)

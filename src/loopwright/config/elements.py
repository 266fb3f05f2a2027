"""Where each element of a list was written, kept in step while a file changes the list in place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from loopwright.config.node import ConfigDict
from loopwright.config.provenance import Origin

Places = list[Origin | None]
Keep = Callable[[], None]

MOST = 256  # elements; those of a longer list are said to be where the list is

# What a method does to the places, given that of the call and what is passed to it. Which element
# went where in a sort or a removal is not followed: no places are left.
_METHODS: dict[str, Callable[[Places, Origin, list[Any]], Any]] = {
    "append": lambda places, call, given: places.append(call),
    "insert": lambda places, call, given: places.insert(given[0], call),
    "pop": lambda places, call, given: places.pop(*given),
    "reverse": lambda places, call, given: places.reverse(),
    "clear": lambda places, call, given: places.clear(),
    "remove": lambda places, call, given: places.clear(),
    "sort": lambda places, call, given: places.clear(),
}


def by_method(
    reader: Any, node: ast.Call, owner: list[Any], name: str, arguments: list[Any]
) -> Keep:
    """To be called before ``owner.name(*arguments)``; what it gives is to be called after."""
    if not isinstance(node.func, ast.Attribute):
        return _nothing
    if name == "extend" and node.args:
        return _growing(reader, node.func.value, owner, reader.origin(node, node.args[0]))
    if name not in _METHODS:
        return _nothing
    call = reader.origin(node)
    return _changing(reader, node.func.value, owner, lambda p: _METHODS[name](p, call, arguments))


def by_addition(reader: Any, node: ast.AugAssign, owner: list[Any]) -> Keep:
    """The same for ``owner += more``."""
    return _growing(reader, node.target, owner, reader.origin(node, node.value))


def by_assignment(
    reader: Any, node: ast.Subscript, owner: list[Any], key: Any, value: Any, place: Origin
) -> Keep:
    """The same for ``owner[key] = value``; the new place remembers what it replaced."""
    replaced = None if isinstance(key, slice) or not _is_index(key, owner) else owner[key]

    def put(places: Places) -> None:
        if isinstance(key, slice):
            places[key] = [place.item(i, len(value)) for i in range(min(len(value), MOST))]
        else:
            before = places[key]
            places[key] = place if before is None else place.over(before, replaced)

    return _changing(reader, node.value, owner, put)


def by_deletion(reader: Any, node: ast.Subscript, owner: list[Any], key: Any) -> Keep:
    """The same for ``del owner[key]``."""
    return _changing(reader, node.value, owner, lambda places: places.__delitem__(key))


def _is_index(key: Any, owner: list[Any]) -> bool:
    return isinstance(key, int) and -len(owner) <= key < len(owner)


def _growing(reader: Any, node: ast.expr, owner: list[Any], written: Origin) -> Keep:
    """New elements at the end are those of the list that is ``written``."""

    def grow(places: Places) -> None:
        new = min(len(owner), MOST) - len(places)
        places += [written.item(index, new) for index in range(new)]

    return _changing(reader, node, owner, grow)


def _changing(
    reader: Any, node: ast.expr, owner: list[Any], change: Callable[[Places], Any]
) -> Keep:
    held = _holder(reader, node)
    if held is None or len(owner) > MOST:
        return _nothing
    holder, key = held
    origin = holder.origins_of().get(key)
    if origin is None:
        return _nothing
    places = [origin.item(index, len(owner)) for index in range(len(owner))]
    reader.fuel.moved(len(owner))

    def keep() -> None:
        now = holder.origins_of().get(key, origin)
        change(places)
        if len(places) != len(owner):
            places[:] = [Origin(now.file, now.line)] * len(owner) if len(owner) <= MOST else []
        holder.mark(key, now.with_items(places))

    return keep


def _holder(reader: Any, node: ast.expr) -> tuple[ConfigDict, Any] | None:
    """The dict and the key under which a list lies; None where telling would call something."""
    if reader.scopes or reader.frame is not None or not _is_path(node):
        return None
    if isinstance(node, ast.Name):
        return reader.names, node.id
    owner = reader.value(node.value)  # type: ignore[attr-defined]
    key = node.attr if isinstance(node, ast.Attribute) else reader.value(node.slice)  # type: ignore[attr-defined]
    return (owner, key) if isinstance(owner, ConfigDict) else None


def _is_path(node: ast.expr) -> bool:
    """Whether an expression is names, attributes and constant subscripts alone."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and _is_path(node.value)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_path(node.value))


def _nothing() -> None:
    """For a list whose elements' places are not kept."""

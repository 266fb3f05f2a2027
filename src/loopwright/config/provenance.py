"""Where a value was written: file and line, and what it replaced there."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loopwright.config.paths import join_path

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Outline:
    """What is kept of the syntax of a list in a pickle: the lines of its elements."""

    lineno: int
    elts: tuple[Outline, ...] | None


def _outline(node: Any) -> Outline | None:
    elements = getattr(node, "elts", None)
    if node is None or elements is None:
        return None
    return Outline(node.lineno, tuple(_outline(e) or Outline(e.lineno, None) for e in elements))


class Origin:
    """One place where a key was written; ``previous`` is the place whose value it replaced.

    >>> str(Origin("configs/base.py", 12))
    'configs/base.py:12'
    >>> str(Origin("command line"))
    'command line'
    """

    __slots__ = ("_items", "_node", "file", "line", "previous", "replaced")

    def __init__(
        self,
        file: str,
        line: int = 0,
        node: ast.AST | Outline | None = None,
        previous: Origin | None = None,
        replaced: Any = None,
        items: tuple[Origin | None, ...] | None = None,
    ) -> None:
        self.file = file
        self.line = line
        self._node = node
        self.previous = previous
        self.replaced = replaced
        self._items = items

    def over(self, previous: Origin | None, replaced: Any) -> Origin:
        """This place, remembering that it replaced the value ``replaced`` of ``previous``."""
        if previous is None or previous is self:
            return self
        return Origin(self.file, self.line, self._node, previous, replaced, self._items)

    def put_over(self, previous: Origin, replaced: Any, value: Any) -> Origin:
        """The same, but a list that grew in place replaced what the list before it did."""
        if replaced is value and isinstance(value, list):
            return self.over(previous.previous, previous.replaced)
        return self.over(previous, replaced)

    def item(self, index: int, length: int) -> Origin | None:
        """The place of element ``index`` of a list of ``length``, over those it had before."""
        steps = [(self._item(index, length), None)]
        origin = self
        while origin._items is None and origin.previous is not None:
            before = origin.replaced
            if not isinstance(before, list | tuple) or index >= len(before):
                break
            origin = origin.previous
            steps.append((origin._item(index, len(before)), before[index]))
        place, replaced = steps.pop()
        for newer, value in reversed(steps):
            place, replaced = newer and newer.over(place, replaced), value
        return place

    def _item(self, index: int, length: int) -> Origin | None:
        """The place of an element where the value was written as a list of ``length``."""
        if self._items is not None and len(self._items) == length:
            return self._items[index]
        elements = getattr(self._node, "elts", None)
        if elements is None or len(elements) != length or not 0 <= index < length:
            return Origin(self.file, self.line)
        return Origin(self.file, elements[index].lineno, elements[index])

    def with_items(self, places: Sequence[Origin | None]) -> Origin:
        """The place of a list whose elements were changed one by one, each with its own place."""
        return Origin(self.file, self.line, self._node, self.previous, self.replaced, tuple(places))

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}" if self.line else shown(self.file)

    def __repr__(self) -> str:
        return f"Origin({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Origin):
            return NotImplemented
        return (self.file, self.line) == (other.file, other.line)

    def __hash__(self) -> int:
        return hash((self.file, self.line))

    def __reduce__(self) -> tuple[Any, ...]:
        outline = _outline(self._node)
        return Origin, (self.file, self.line, outline, self.previous, self.replaced, self._items)

    def __deepcopy__(self, memo: dict[int, Any]) -> Origin:
        return self


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain that ``why`` tells: a value and where it was written."""

    value: Any
    origin: Origin | None

    def __str__(self) -> str:
        return f"{short(self.value)}  ({self.origin or 'origin unknown'})"


def chain(value: Any, origin: Origin | None) -> list[Step]:
    """Every value a key has had, oldest first, ending with ``value``."""
    steps = [Step(value, origin)]
    while origin is not None and origin.previous is not None:
        steps.append(Step(origin.replaced, origin.previous))
        origin = origin.previous
    return steps[::-1]


def origin_of(container: Any, key: Any) -> Origin | None:
    """Where ``key`` of a ConfigDict was written, or ``None`` where that is not known."""
    origins = getattr(type(container), "origins_of", None)
    return None if origins is None else origins(container).get(key)


def walk_places(
    value: Any, origin: Origin | None = None, keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Origin | None]]:
    """Every leaf: the keys that lead to it, its value, where it was written.

    An empty container is a leaf.
    """
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from walk_places(child, origin_of(value, key) or origin, (*keys, str(key)))
    elif isinstance(value, list | tuple) and value:
        for index, child in enumerate(value):
            place = origin and origin.item(index, len(value))
            yield from walk_places(child, place, (*keys, str(index)))
    else:
        yield keys, value, origin


def walk_leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf with its dotted path, as ``why`` and overrides take it.

    >>> list(walk_leaves({"keys": {"a.b": [1, {}]}}))
    [("keys.'a.b'.0", 1), ("keys.'a.b'.1", {})]
    """
    return ((join_path(keys), leaf) for keys, leaf, _ in walk_places(value))


def shown(file: str) -> str:
    """A path as a reader wants it: relative to the working folder where that is shorter."""
    if not os.path.isabs(file):
        return file
    relative = os.path.relpath(file)
    return relative if len(relative) < len(file) else file


def short(value: Any, limit: int = 72) -> str:
    """``repr`` cut to one line."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"

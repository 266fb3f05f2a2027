"""How much a config may ask for: every bound of the reader, and the fuel that enforces them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from loopwright.config.errors import ConfigError

_CONTAINERS = (dict, list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one ``fromfile``; generous for real configs, tiny for a machine."""

    file_bytes: int = 4_000_000
    code_bytes: int = 1_000_000
    files: int = 500
    base_depth: int = 50
    steps: int = 400_000
    items: int = 400_000
    characters: int = 1_000_000
    bits: int = 4096
    depth: int = 150
    calls: int = 30


LIMITS = Limits()


def names(text: str) -> frozenset[str]:
    """The words of ``text``: how the lists of what is allowed and refused are written."""
    return frozenset(text.split())


class Fuel:
    """What is left to spend in one reading; running out is a ConfigError."""

    __slots__ = ("calls", "files", "left", "limits")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.left = limits.steps
        self.files = limits.files
        self.calls = 0

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise ConfigError(f"the config needs more than {self.limits.steps} evaluation steps")

    @contextmanager
    def called(self, name: str) -> Iterator[None]:
        """One call of a function of the config, refused where calls nest too deep."""
        if self.calls >= self.limits.calls:
            raise ConfigError(f"{name}() is called more than {self.limits.calls} levels deep")
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    def sized(self, items: int) -> None:
        """Refuse a container of ``items`` elements before it is made."""
        if items > self.limits.items:
            raise ConfigError(f"a value of {items} items is more than {self.limits.items}")
        self.spend(items >> 2)

    def lettered(self, characters: int) -> None:
        """Refuse a text of so many characters before it is made."""
        if characters > self.limits.characters:
            raise ConfigError(
                f"a text of {characters} characters is more than {self.limits.characters}"
            )
        self.spend(characters >> 5)

    def number(self, bits: int) -> None:
        """Refuse an integer of so many bits before it is made."""
        if bits > self.limits.bits:
            raise ConfigError(f"an integer of {bits} bits is more than {self.limits.bits}")

    def moved(self, items: int) -> None:
        """Pay for a list whose elements are shifted along."""
        self.spend(items >> 6)

    def weigh(self, value: Any) -> int:
        """How many nodes ``value`` has when written out in full, shared parts counted each time.

        A long text counts as one for each 32 characters more.
        """
        if not isinstance(value, _CONTAINERS):
            if value.__class__ is int:
                self.number(value.bit_length())
            return 1
        total = _weight(value, {}, self, 0)
        self.spend(total >> 3)
        return total

    def spelled(self, value: Any) -> int:
        """Refuse the text of ``value`` before it is made, where it would be too long."""
        self.weigh(value)
        length = _length(value, {})
        self.lettered(length)
        return length


_WORD = 1 << 63


def _weight(value: Any, known: dict[int, int], fuel: Fuel, depth: int) -> int:
    seen = known.get(id(value))
    if seen is not None:
        if not seen:
            raise ConfigError("a value contains itself")
        return seen
    if depth > fuel.limits.depth:
        raise ConfigError(f"a value is nested deeper than {fuel.limits.depth}")
    known[id(value)] = 0
    total = 1
    for child in _parts(value):
        kind = child.__class__
        total += 1
        if kind is str or kind is bytes:
            total += len(child) >> 5
        elif kind is int:
            if not -_WORD < child < _WORD:
                fuel.number(child.bit_length())
        elif isinstance(child, _CONTAINERS):
            total += _weight(child, known, fuel, depth + 1) - 1
        elif kind is range:
            total += max((child.stop - child.start) // child.step, 0)
        if total > fuel.limits.items:
            raise ConfigError(f"a value written out in full has over {fuel.limits.items} items")
    known[id(value)] = total
    return total


def _parts(value: Any) -> Iterable[Any]:
    """The elements of a container; of a dict's keys, those that are more than a word."""
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]
    for key in value:
        if key.__class__ is not str or len(key) > 31:
            return (*filter(_is_long, value), *value.values())
    return value.values()


def _is_long(key: Any) -> bool:
    return key.__class__ is not str or len(key) > 31


def _length(value: Any, known: dict[int, int]) -> int:
    """At most how many characters ``repr(value)`` has; ``value`` does not contain itself."""
    if isinstance(value, str):
        return len(value) + 2 if value.isprintable() and "\\" not in value else 10 * len(value) + 2
    if isinstance(value, bytes):
        return 4 * len(value) + 3
    if isinstance(value, int):
        return value.bit_length() // 3 + 5
    if not isinstance(value, _CONTAINERS):
        return 64
    if id(value) not in known:
        parts: Iterable[Any] = value
        if isinstance(value, dict):
            parts = (part for pair in value.items() for part in pair)
        known[id(value)] = 16 + sum(_length(part, known) + 2 for part in parts)
    return known[id(value)]

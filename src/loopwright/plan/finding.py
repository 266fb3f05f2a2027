"""One thing that is wrong, or probably wrong, with a config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from loopwright.config.provenance import Origin, origin_of

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``path`` in the config, ``origin`` (file:line) where known, and what was got and wanted.

    >>> print(Finding("error", "train_cfg.max_epoch", "run.py:3", "unknown key"))
    error: train_cfg.max_epoch (run.py:3): unknown key
    """

    level: Level
    path: str
    origin: str
    message: str

    def __str__(self) -> str:
        place = f"{self.path} ({self.origin})" if self.origin else self.path
        return (
            f"{self.level}: {place}: {self.message}" if place else f"{self.level}: {self.message}"
        )

    def to_dict(self) -> dict[str, str]:
        return {
            "level": self.level,
            "path": self.path,
            "origin": self.origin,
            "message": self.message,
        }


def without_echoes(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; what is only doubted of a part that has a misspelt word waits for the word."""
    listed = list(findings)
    misspelt = {_owner(f) for f in listed if f.level == "error" and _is_a_word(f)}
    yield from (f for f in listed if f.level == "error" or _owner(f) not in misspelt)


def _is_a_word(finding: Finding) -> bool:
    return "unknown key" in finding.message or "takes no argument" in finding.message


def _owner(finding: Finding) -> str:
    return finding.path.rpartition(".")[0] or finding.path


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a config that knows its path and where its keys were written."""

    value: Any
    path: str
    inherited: str = ""
    place: Origin | None = None

    def child(self, key: Any) -> Node:
        """The part under a key or an index."""
        value = self.value[key]
        path = f"{self.path}.{key}" if self.path else str(key)
        return Node(value, path, self.origin(key), self._place(key))

    def origin(self, key: Any = None) -> str:
        """Where a key was written, or the part itself; '' where that is not known."""
        found = None if key is None else self._place(key)
        return self.inherited if found is None else str(found)

    def _place(self, key: Any) -> Origin | None:
        if isinstance(self.value, dict):
            return origin_of(self.value, key)
        items = self.value if isinstance(self.value, list | tuple) else ()
        return self.place.item(key, len(items)) if self.place is not None and items else None

    def error(self, message: str, key: Any = None) -> Finding:
        return self._finding("error", message, key)

    def warning(self, message: str, key: Any = None) -> Finding:
        return self._finding("warning", message, key)

    def note(self, message: str, key: Any = None) -> Finding:
        return self._finding("note", message, key)

    def _finding(self, level: Level, message: str, key: Any) -> Finding:
        path = self.path if key is None else f"{self.path}.{key}" if self.path else str(key)
        return Finding(level, path, self.origin(key), message)

    def children(self) -> Iterable[Node]:
        """The parts below, of a dict or a list."""
        if isinstance(self.value, dict):
            return [self.child(key) for key in self.value]
        if isinstance(self.value, list | tuple):
            return [self.child(index) for index in range(len(self.value))]
        return []

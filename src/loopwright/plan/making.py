"""Making parts of a plan that may fail: what a part refuses is an error, what is absent a note."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from loopwright.plan.finding import Finding, Level, Node
from loopwright.registry import UnknownNameError

_SAID = re.compile(
    r"(?:(?P<path>[\w.]+) )?\((?P<origin>[^()]+:\d+|command line[^()]*)\): (?P<rest>.*)", re.DOTALL
)
"""How building says where something was written, at the start of its message."""


@dataclass(slots=True)
class Making:
    """What was found while parts were made; ``trusting``: some names are not known here."""

    root: Node
    trusting: bool
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, act: Callable[[], Any], what: str, path: str) -> Any:
        """What ``act`` gives, or None.

        A value that a part refuses and a name that is not known are errors at the path, as the run
        would meet them too. A name that is taken on trust, an absent package or file is a note.
        """
        try:
            return act()
        except (ValueError, TypeError, UnknownNameError) as error:
            if not self.trusting and not getattr(error, "known_later", False):
                self.findings.append(located(self.root, path, str(error), "error"))
                return None
            self._note(what, error)
        except Exception as error:
            self._note(what, error)
        return None

    def warn(self, path: str, messages: Iterable[str]) -> None:
        """Warnings of a part that was made, each at the key that it names."""
        self.findings += [located(self.root, path, message, "warning") for message in messages]

    def _note(self, what: str, error: Exception) -> None:
        self.notes.append(f"the {what} was not made: {error}")


def located(root: Node, path: str, message: str, level: Level) -> Finding:
    """A finding at the deepest key below a path that the message names, said there alone."""
    said = _SAID.match(message)
    if said is not None:
        node = _under(root, said["path"] or path)
        return Finding(level, node.path, said["origin"], said["rest"])
    node = _under(root, path)
    while (inner := _named(node, message)) is not None:
        node = inner
    told = message.removeprefix(f"{node.path} ")
    place = f" ({node.inherited})"
    told = told.replace(place, "").replace(place[1:] + ": ", "")
    return Finding(level, node.path, node.inherited, told)


def _under(root: Node, path: str) -> Node:
    """The part at a dotted path, or as deep as it goes."""
    node = root
    for key in path.split("."):
        inner = int(key) if isinstance(node.value, list | tuple) and key.isdigit() else key
        if isinstance(node.value, dict) and inner not in node.value:
            return node
        if not isinstance(node.value, dict | list | tuple):
            return node
        node = node.child(inner)
    return node


def _named(node: Node, message: str) -> Node | None:
    """The part under a key that stands in a message as a word or in quotes."""
    if not isinstance(node.value, dict):
        return None
    for key in node.value:
        name = str(key)
        if f"{name!r}" in message or (len(name) > 2 and _word(name, message)):
            return node.child(key)
    return None


def _word(name: str, message: str) -> bool:
    words = message.replace("[", " ").replace(".", " ").replace(",", " ").split()
    return name in words

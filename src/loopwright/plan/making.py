"""Making parts of a plan that may fail: what a part refuses is an error, what is absent a note."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from loopwright.core.nearest import did_you_mean
from loopwright.plan.finding import Finding, Level, Node
from loopwright.registry import UnknownNameError

_SAID = re.compile(
    r"(?:(?P<path>[\w.]+) )?\((?P<origin>[^()]+:\d+|command line[^()]*)\): (?P<rest>.*)", re.DOTALL
)
"""How building says where something was written, at the start of its message."""


@dataclass(slots=True)
class Making:
    """What was found while parts were made.

    ``trusting``: some names are not known here; ``anothers``: names may mean classes of a library
    that is not here, in place of ours.
    """

    root: Node
    trusting: bool
    anothers: bool = False
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
            unsure = self.anothers or (self.trusting and isinstance(error, UnknownNameError))
            if not unsure and not getattr(error, "known_later", False):
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
    node = _holding(node, message) or node
    told = _without(node.path, message)
    place = f" ({node.inherited})"
    told = told.replace(place, "").replace(place[1:] + ": ", "")
    return Finding(level, node.path, node.inherited, told + _meant(told))


_CHOICE = re.compile(r"must be one of (?P<known>[\w, '-]+), got (?P<got>'[^']*')$")


def _meant(message: str) -> str:
    """The nearest of the words that a message says are known.

    >>> _meant("split must be one of train, val, got 'trian'")
    "; did you mean 'train'?"
    """
    said = _CHOICE.search(message)
    return did_you_mean(said["got"].strip("'"), said["known"].split(", ")) if said else ""


def _without(path: str, message: str) -> str:
    """A message without the path, or the end of it, that its finding names anyway."""
    keys = path.split(".")
    tails = [f"{'.'.join(keys[i:])} " for i in range(len(keys))]
    said = next((t for t in tails if message.startswith(t)), "")
    rest = message.removeprefix(said)
    return message if rest.startswith("(") else rest


def _holding(node: Node, message: str) -> Node | None:
    """The part further down whose key and value both stand in a message, if it is only one."""
    found = [n for n in _below(node) if _word(n.path.rpartition(".")[2], message)]
    key = {id(n): n.path.rpartition(".")[2] for n in found}
    told = [n for n in found if _value_told(key[id(n)], n.value, message)]
    told.sort(key=lambda n: message.index(key[id(n)]))
    once = len({key[id(n)] for n in told}) == len(told)
    return told[0] if told and once else None


def _value_told(key: str, value: Any, message: str) -> bool:
    return f"got {value!r}" in message or f"{key} ({value!r})" in message


def _below(node: Node) -> Iterator[Node]:
    for child in node.children():
        yield child
        yield from _below(child)


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
    names = {key: str(key) for key in node.value}
    said = [
        k for k, n in names.items() if f"{n!r}" in message or (len(n) > 2 and _word(n, message))
    ]
    return node.child(min(said, key=lambda key: message.index(names[key]))) if said else None


def _word(name: str, message: str) -> bool:
    return name in re.findall(r"\w+", message)

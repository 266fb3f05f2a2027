"""Making parts of a plan that may fail: what a part refuses is an error, what is absent a note."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from loopwright.plan.finding import Finding, Level, Node


@dataclass(slots=True)
class Making:
    """What was found while parts were made; ``foreign`` says that some names are not ours."""

    root: Node
    foreign: bool
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, act: Callable[[], Any], what: str, path: str) -> Any:
        """What ``act`` gives, or None.

        A value that a part refuses is an error at the path, as the run would meet it too. A name
        of somebody else's, an absent package or file is a note.
        """
        try:
            return act()
        except (ValueError, TypeError) as error:
            if not self.foreign and not getattr(error, "known_later", False):
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
    node = root
    for key in path.split("."):
        node = node.child(key)
    while (inner := _named(node, message)) is not None:
        node = inner
    told = message.removeprefix(f"{node.path} ")
    place = f" ({node.inherited})"
    told = told.replace(place, "").replace(place[1:] + ": ", "")
    return Finding(level, node.path, node.inherited, told)


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

"""Printing what files say: a name in a config or a checkpoint is no command to the terminal."""

from __future__ import annotations

from typing import Any

import click

_KEPT = frozenset("\n\t")


def printable(text: object) -> str:
    r"""``text`` with what is no character to be seen written as an escape.

    >>> printable("lr\x1b[2J")
    'lr\\x1b[2J'
    """
    said = str(text)
    if said.isascii() and said.isprintable():
        return said
    return "".join(c if c.isprintable() or c in _KEPT else _escaped(c) for c in said)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def say(text: object = "", *, nl: bool = True, err: bool = False) -> None:
    """Print a text that may come from a file."""
    click.echo(printable(text), nl=nl, err=err)


def console() -> Any:
    """A rich console that takes texts as they are: no markup, and no escapes but its own."""
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Any:
            for part in super().render(renderable, options):
                seen = part.control is not None or part.text.isprintable()
                yield part if seen else Segment(printable(part.text), part.style)

    return PlainConsole(markup=False, emoji=False)

"""Arguments that name a path which must be there; a misspelt one is answered with the nearest."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import Any

import click


def nearest_path(path: str | os.PathLike[str]) -> str:
    """The path that is there and nearest to one that is not; '' where none is near."""
    folder, name = os.path.split(os.fspath(path).rstrip("/"))
    if not os.path.isdir(folder or ".") or os.path.lexists(path):
        return ""
    near = get_close_matches(name, os.listdir(folder or "."), n=1)
    return os.path.join(folder, near[0]) if near else ""


class ExistingPath(click.Path):
    """A path that exists."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if meant := nearest_path(value):
            what = "Directory" if not self.file_okay else "File" if not self.dir_okay else "Path"
            self.fail(f"{what} {value!r} does not exist. Did you mean {meant!r}?", param, ctx)
        return super().convert(value, param, ctx)


class ExistingFile(ExistingPath):
    """A path to a file that exists."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if os.path.isdir(value):
            inside = sorted(name for name in os.listdir(value) if name.endswith(".py"))
            hint = f". Did you mean {os.path.join(value, inside[0])!r}?" if inside else "."
            self.fail(f"{value!r} is a folder{hint}", param, ctx)
        return super().convert(value, param, ctx)

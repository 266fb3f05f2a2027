"""Arguments that name a file which must be there; a misspelt one is answered with the nearest."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import Any

import click


class ExistingFile(click.Path):
    """A path to a file that exists."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        folder, name = os.path.split(os.fspath(value))
        if os.path.isdir(folder or ".") and not os.path.lexists(value):
            near = get_close_matches(name, os.listdir(folder or "."), n=1)
            if near:
                meant = os.path.join(folder, near[0])
                self.fail(f"File {value!r} does not exist. Did you mean {meant!r}?", param, ctx)
        return super().convert(value, param, ctx)

"""``loopwright inspect``: what a checkpoint holds, from which run, whole or not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from loopwright.checkpoint.describe import Description, groups_of, inspect, inspect_all
from loopwright.checkpoint.errors import CheckpointError
from loopwright.checkpoint.manifest import MANIFEST
from loopwright.cli.printing import say
from loopwright.files import in_words

EXIT_BROKEN, EXIT_NONE = 1, 2
SHOWN = 60


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--tensors", is_flag=True, help="List every tensor: name, dtype, shape.")
@click.option("--quick", is_flag=True, help="Sizes and manifest only; do not read every byte.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(path: Path, *, tensors: bool, quick: bool, as_json: bool) -> None:
    """Say what the checkpoint at PATH holds and whether it is whole.

    PATH is a checkpoint folder, a .pth, .pt, .pkl or .safetensors file of any program, or a folder
    of checkpoints. Nothing is loaded, run or imported. Exit code 0: whole, 1: damaged, 2: none.
    """
    try:
        if path.is_dir() and not (path / MANIFEST).exists() and not (path / "state.json").exists():
            found = inspect_all(path, verify=not quick)
            if not found:
                raise CheckpointError(f"{path} holds no checkpoint")
        else:
            found = [inspect(path, verify=not quick)]
    except (CheckpointError, OSError) as error:
        say(f"error: {error}", err=True)
        sys.exit(EXIT_NONE)
    if as_json:
        data = [one.as_data() for one in found]
        say(json.dumps(data[0] if len(data) == 1 else data, indent=2, default=str))
    elif len(found) == 1:
        show(found[0], tensors=tensors)
    else:
        table(found)
    sys.exit(0 if all(one.whole for one in found) else EXIT_BROKEN)


def show(found: Description, *, tensors: bool) -> None:
    """One checkpoint, in lines."""
    say(f"{found.path}: {found.kind}")
    say(f"  whole     {wholeness(found)}")
    for problem in found.problems:
        say(f"            {problem}")
    if found.step is not None:
        say(f"  step      {found.step}   (saved as {found.name})")
    if found.made_by:
        say("  made by   " + ", ".join(f"{k} {v}" for k, v in found.made_by.items()))
    for key, value in meta_lines(found.meta):
        say(f"  {key:<9} {value}")
    say(f"  size      {in_words(found.size)}")
    if found.values:
        say(f"  keys      {', '.join(found.values[:12])}")
    for head, (count, elements, size) in groups_of(found.tensors).items():
        say(f"  {head[:30]:<30} {count:>6} tensors {elements:>14,} numbers {in_words(size):>9}")
    if tensors:
        for line in found.tensors:
            say(f"    {line.name}  {line.dtype}  {list(line.shape)}")


def wholeness(found: Description) -> str:
    """Yes or no, and how far that was looked at."""
    if not found.whole:
        return "NO"
    if found.verified:
        return "yes, every byte as it was written"
    return "sizes fit (not every byte was compared)"


def meta_lines(meta: Any) -> list[tuple[str, str]]:
    """The run's own notes, long ones cut."""
    if not isinstance(meta, dict):
        return [] if meta is None else [("meta", cut(meta))]
    return [(str(key)[:20], cut(value)) for key, value in list(meta.items())[:20]]


def cut(value: Any) -> str:
    """A value on one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}… ({len(text)} characters)"


def table(found: list[Description]) -> None:
    """Several checkpoints, a line each."""
    say(f"{'step':>9}  {'size':>9}  {'whole':<6} name")
    for one in found:
        step = "?" if one.step is None else str(one.step)
        whole = "yes" if one.whole else "NO"
        meta = one.meta if isinstance(one.meta, dict) else {}
        note = "   (not good: a resume passes it by)" if meta.get("good") is False else ""
        say(f"{step:>9}  {in_words(one.size):>9}  {whole:<6} {one.name}{note}")
        for problem in one.problems:
            say(f"{'':>29}{problem}")

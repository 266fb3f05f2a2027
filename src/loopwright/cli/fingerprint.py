"""``loopwright fingerprint``: compare the initial parameters of two runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from loopwright.cli.files import ExistingPath
from loopwright.cli.printing import printable, say
from loopwright.model.prints import Fingerprint, diff

NAME = "fingerprint.json"


@click.group("fingerprint")
def command() -> None:
    """Compare the initial parameters of runs.

    Every run writes the hash of each parameter it starts from into its folder.
    """


@command.command("diff")
@click.argument("run_a", type=ExistingPath(exists=True, path_type=Path))
@click.argument("run_b", type=ExistingPath(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff_command(run_a: Path, run_b: Path, as_json: bool) -> None:
    """Say the first difference between the starts of RUN_A and RUN_B.

    Each is a run folder or its fingerprint.json. Exit code 0: equal; 1: they differ.
    """
    one, two = read(run_a), read(run_b)
    found = diff(one, two)
    if as_json:
        facts = {"equal": not found, "a": one.total, "b": two.total, "difference": found or None}
        say(json.dumps(facts))
    else:
        say(found or f"equal: {one}")
    sys.exit(1 if found else 0)


@command.command("show")
@click.argument("run", type=ExistingPath(exists=True, path_type=Path))
def show_command(run: Path) -> None:
    """List every tensor that RUN started from, with its hash."""
    found = read(run)
    for name, tensor in found.tensors.items():
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        say(f"{tensor.sha256[:12]}  {tensor.dtype:8} {shape:16} {name}")
    say(str(found))


def read(run: Path) -> Fingerprint:
    """The fingerprint of a run folder, or in a file."""
    path = run / NAME if run.is_dir() else run
    if not path.exists():
        raise click.UsageError(
            f"{run} holds no {NAME}: a run writes it before its first step (trained with "
            "an older version, or stopped before?)"
        )
    try:
        return Fingerprint.load(path)
    except (ValueError, OSError) as error:
        raise click.UsageError(printable(error)) from error

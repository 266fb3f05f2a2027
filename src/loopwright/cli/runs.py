"""``loopwright runs``: a table of the runs below a folder."""

from __future__ import annotations

from pathlib import Path

import click

from loopwright.cli.compare import show
from loopwright.cli.files import ExistingPath
from loopwright.cli.printing import console
from loopwright.report import find_runs, read_run
from loopwright.report.tables import HEAD, run_row


@click.command()
@click.argument(
    "folder", type=ExistingPath(exists=True, file_okay=False, path_type=Path), default="work_dirs"
)
@click.option("--plain", is_flag=True, help="Tab-separated lines instead of a table.")
def command(folder: Path, plain: bool) -> None:
    """List the runs in and below FOLDER (default: work_dirs), each with state and best metrics."""
    rows = [run_row(read_run(place)) for place in find_runs(folder)]
    if not rows:
        raise click.UsageError(f"there is no run (no metrics.jsonl) in or below {folder}")
    show(console(), HEAD, rows, plain=plain)

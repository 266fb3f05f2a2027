"""``loopwright compare``: what runs have in common and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from loopwright.cli.files import ExistingPath
from loopwright.cli.printing import console, printable, say
from loopwright.report import NoRunError, read_run
from loopwright.report.tables import Row, config_differences, facts_of, metric_rows


@click.command()
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    type=ExistingPath(exists=True, path_type=Path),
    metavar="RUN RUN ...",
)
@click.option("--plain", is_flag=True, help="Tab-separated lines instead of tables.")
def command(runs: tuple[Path, ...], plain: bool) -> None:
    """Show how run folders differ: config entries, best and last metrics, environment.

    \b
    loopwright compare work_dirs/baseline work_dirs/longer
    """
    if len(runs) < 2:
        raise click.UsageError("compare needs at least two run folders")
    try:
        found = [read_run(run) for run in runs]
    except NoRunError as error:
        raise click.UsageError(printable(error)) from None
    heads = tuple(map(str, runs))
    tables = {
        "config": config_differences(found),
        "metrics": metric_rows(found),
        "run": facts_of(found),
    }
    on_screen = console()
    for title, rows in tables.items():
        show(on_screen, (title, *heads), rows, plain=plain)


def show(on_screen: Any, head: Row, rows: list[Row], *, plain: bool) -> None:
    """A table, or lines that other programs read."""
    if plain:
        for row in (head, *rows):
            say("\t".join(" ".join(cell.split()) for cell in row))
        return
    table = Table(header_style="bold", title=None if rows else f"{head[0]}: no difference")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row, style="bold" if len(set(row[1:])) > 1 and head[0] == "metrics" else "")
    on_screen.print(table)

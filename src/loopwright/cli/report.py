"""``loopwright report``: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from loopwright.cli.files import ExistingPath
from loopwright.cli.printing import printable
from loopwright.files import atomic_write
from loopwright.report import NoRunError, read_run
from loopwright.report.page import page


@click.command()
@click.argument("run", type=ExistingPath(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: RUN/report.html.")
def command(run: Path, output: Path | None) -> None:
    """Write one HTML file about the run in folder RUN.

    It holds curves, the validation table, pictures of predictions, where the time went, when the
    run was resumed, its config with the origin of each value, and its environment. The file needs
    no network and may be mailed: secrets in the config are left out. Works during the run too.

    \b
    loopwright report work_dirs/my_config
    loopwright report work_dirs/my_config -o /tmp/mine.html
    """
    try:
        found = read_run(run)
    except NoRunError as error:
        raise click.UsageError(printable(error)) from None
    target = output or run / "report.html"
    atomic_write(target, page(found).encode())
    click.echo(f"{target}")

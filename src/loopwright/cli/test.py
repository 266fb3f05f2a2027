"""``loopwright test``: test a checkpoint with the test part of a config."""

from __future__ import annotations

from typing import Any

import click

from loopwright.cli.evaluate import evaluate
from loopwright.cli.run import options


@click.command()
@options
@click.option("--checkpoint", metavar="PATH", help="Weights; default: the run folder's newest.")
def command(
    config: str, overrides: tuple[str, ...], checkpoint: str | None, debug: bool, **reading: Any
) -> None:
    """Test a checkpoint as CONFIG says, and print the metrics."""
    evaluate("test", config, overrides, checkpoint, debug, **reading)

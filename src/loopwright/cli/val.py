"""``loopwright val``: validate a checkpoint with the validation part of a config."""

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
    """Validate a checkpoint as CONFIG says, and print the metrics."""
    evaluate("val", config, overrides, checkpoint, debug, **reading)

"""What ``val`` and ``test`` share: weights in, metrics out."""

from __future__ import annotations

from typing import Any

import click

from loopwright.cli.run import read, reported, start


def evaluate(
    mode: str,
    config: str,
    overrides: tuple[str, ...],
    checkpoint: str | None,
    debug: bool,
    **reading: Any,
) -> None:
    """Run ``runner.val()`` or ``runner.test()`` on a checkpoint and print each metric."""
    with reported(debug):
        cfg = read(config, overrides, **reading)
        cfg["resume"] = False
        runner = start(cfg, config)
        loaded = checkpoint or runner.store.newest()
        if loaded is None:
            raise click.ClickException(f"no checkpoint in {runner.work_dir}: give --checkpoint")
        runner.load_checkpoint(str(loaded))
        runner.loaded = True
        for name, value in (runner.val() if mode == "val" else runner.test()).items():
            click.echo(f"{mode} {name}: {value:.4f}")

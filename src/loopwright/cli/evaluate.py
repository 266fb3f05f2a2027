"""The commands ``val`` and ``test``: weights in, metrics out."""

from __future__ import annotations

import os
from typing import Any

import click

from loopwright.cli.run import options, read, reported, start
from loopwright.config import ConfigError


def evaluating(mode: str, told: str) -> click.Command:
    """The command that runs ``runner.val()`` or ``runner.test()`` and prints each metric."""

    @click.command(help=told)
    @options
    @click.option("--checkpoint", metavar="PATH", help="Weights; default: the run folder's newest.")
    def command(
        config: str, overrides: tuple[str, ...], checkpoint: str | None, debug: bool, **reading: Any
    ) -> None:
        with reported(debug):
            cfg = read(config, overrides, **reading)
            cfg["resume"] = False
            if checkpoint is None and not os.path.isdir(cfg["work_dir"]):
                raise _none_in(cfg["work_dir"])  # before a runner makes that folder
            runner = start(cfg, config, training=False)
            runner.load_checkpoint(checkpoint or _newest(runner))
            runner.loaded = True
            for name, value in (runner.val() if mode == "val" else runner.test()).items():
                click.echo(f"{mode} {name}: {value:.4f}")

    return command


def _newest(runner: Any) -> str:
    """The newest whole checkpoint of the run folder. Raises ConfigError where there is none."""
    newest = runner.store.newest()
    if newest is None:
        raise _none_in(runner.work_dir)
    return str(newest.path)


def _none_in(folder: str) -> ConfigError:
    return ConfigError(f"no checkpoint in {folder}: give --checkpoint PATH")

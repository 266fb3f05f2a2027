"""``loopwright train``: train what a config says, from the start or from where it stopped."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import click

from loopwright.cli.run import options, read, reported, start
from loopwright.config import ConfigError


@click.command()
@options
@click.option(
    "--resume",
    is_flag=False,
    flag_value="auto",
    metavar="[auto|PATH]",
    help="Go on from the newest whole checkpoint of the run folder, or from PATH.",
)
@click.option("--amp", is_flag=True, help="Train with AmpOptimWrapper.")
@click.option("--auto-scale-lr", is_flag=True, help="Scale the learning rate to the batch size.")
@click.option("--test", "and_test", is_flag=True, help="Test the trained model at the end.")
def command(
    config: str,
    overrides: tuple[str, ...],
    resume: str | None,
    amp: bool,
    auto_scale_lr: bool,
    and_test: bool,
    debug: bool,
    **reading: Any,
) -> None:
    """Train what CONFIG says. Overrides look like optim_wrapper.optimizer.lr=1e-3.

    Ends with 0 when trained, 2 for a mistake in the config, 70 for a fault, 73 when another run
    uses the folder, 75 when stopped by SIGTERM with a checkpoint written, 130 after Ctrl-C.
    """
    if resume is not None and "=" in resume and not os.path.exists(resume):
        # `--resume key=value` means resume, and an override.
        resume, overrides = "auto", (resume, *overrides)
    with reported(debug):
        cfg = read(config, overrides, **reading)
        if resume is not None:
            cfg["resume"] = True
            cfg["load_from"] = None if resume == "auto" else resume
        if amp:
            _section(cfg, "optim_wrapper", "--amp")["type"] = "AmpOptimWrapper"
        if auto_scale_lr:
            _section(cfg, "auto_scale_lr", "--auto-scale-lr")["enable"] = True
        _train(cfg, config, and_test)


def _section(cfg: Any, key: str, option: str) -> Any:
    if not isinstance(cfg.get(key), dict):
        raise ConfigError(f"{option} needs {key} in the config, which has none")
    return cfg[key]


def _again() -> str:
    """The command that was given, made to resume."""
    given = [word for word in sys.argv[1:] if not word.startswith("--resume")]
    return shlex.join(["loopwright", *given, "--resume"])


def _train(cfg: Any, config: str, and_test: bool) -> None:
    runner = start(cfg, config)
    try:
        runner.train()
    except KeyboardInterrupt:
        click.echo(f"to go on: {_again()}")
        raise
    if and_test:
        for name, value in runner.test().items():
            click.echo(f"test {name}: {value:.4f}")
    click.echo(f"run folder: {runner.work_dir}")

"""What every command that reads a config takes: overrides, libraries of bases, trust."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from loopwright.cli.overrides import overridden
from loopwright.config import Config, ConfigError


def takes_overrides(command: Callable[..., Any]) -> Callable[..., Any]:
    """``key=value …`` and ``--cfg-options key=value …``, given to the command as ``overrides``."""

    @click.argument("overrides", nargs=-1, metavar="[key=value ...]")
    @click.option(
        "--cfg-options",
        multiple=True,
        metavar="key=value",
        help="As overrides; repeatable.",
    )
    @functools.wraps(command)
    def taking(
        *args: Any, overrides: tuple[str, ...], cfg_options: tuple[str, ...], **options: Any
    ) -> Any:
        return command(*args, overrides=(*overrides, *cfg_options), **options)

    return taking


def takes_reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that ``read_config`` knows."""
    for option in (
        click.option("--trust-config", is_flag=True, help="Run the config file as Python."),
        click.option(
            "--library",
            multiple=True,
            metavar="NAME=FOLDER",
            help="Where NAME::path bases lie; repeatable.",
        ),
    ):
        command = option(command)
    return command


def read_config(
    path: str, overrides: tuple[str, ...], *, trust_config: bool, library: tuple[str, ...]
) -> Config:
    """The config of a file with the overrides of the command line."""
    config = Config.fromfile(path, trust=trust_config, packages=dict(map(_folder, library)))
    result: Config = overridden(config, overrides)
    return result


def _folder(entry: str) -> tuple[str, str]:
    name, _, folder = entry.partition("=")
    if not name or not folder:
        raise ConfigError(f"--library {entry!r} is not NAME=FOLDER")
    return name, os.path.expanduser(folder)

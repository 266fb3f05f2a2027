"""``loopwright config``: show, explain, compare and dump configs without running them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from loopwright.cli.files import ExistingFile
from loopwright.cli.overrides import overridden
from loopwright.config import Config, ConfigError
from loopwright.config.diff import differences
from loopwright.config.dump import dump as dump_text
from loopwright.config.provenance import short, walk_leaves

EXIT_CONFIG = 2


@click.group()
def command() -> None:
    """Show, explain, compare and dump configs. Nothing in a config is run or imported."""


def reading(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every subcommand reads configs with."""
    for option in (
        click.option("--trust-config", is_flag=True, help="Run the config file as Python."),
        click.option(
            "--library",
            multiple=True,
            metavar="NAME=FOLDER",
            help="Where NAME::path bases lie; repeatable.",
        ),
    ):
        function = option(function)
    return function


def read(
    path: str, overrides: tuple[str, ...], *, trust_config: bool, library: tuple[str, ...]
) -> Config:
    """The config of a file with the overrides of the command line."""
    folders = dict(entry.partition("=")[::2] for entry in library)
    config = Config.fromfile(path, trust=trust_config, packages=folders)
    result: Config = overridden(config, overrides)
    return result


@contextmanager
def reported() -> Iterator[None]:
    """A mistake in a config as a message and exit code 2."""
    try:
        yield
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        for note in getattr(error, "__notes__", ()):
            click.echo(f"  {note}", err=True)
        sys.exit(EXIT_CONFIG)


@command.command()
@click.argument("path", type=ExistingFile())
@click.argument("overrides", nargs=-1, metavar="[key=value ...]")
@click.option("--why", metavar="KEY", help="Every value KEY has had and where it was written.")
@click.option("--origins", is_flag=True, help="One line a value, with the place it comes from.")
@reading
def show(path: str, overrides: tuple[str, ...], why: str | None, origins: bool, **how: Any) -> None:
    """Print a config as it is after inheritance and overrides."""
    with reported():
        config = read(path, overrides, **how)
        if why:
            for step in config.why(why):
                click.echo(str(step))
        elif origins:
            for leaf, value in walk_leaves(config._cfg_dict):
                click.echo(f"{leaf} = {short(value)}  ({config.origin(leaf) or 'origin unknown'})")
        else:
            click.echo(config.pretty_text, nl=False)


@command.command()
@click.argument("left", type=ExistingFile())
@click.argument("right", type=ExistingFile())
@reading
def diff(left: str, right: str, **how: Any) -> None:
    """Say what differs between two configs. Ends with 1 where they differ, as diff does."""
    with reported():
        one, other = (read(path, (), **how) for path in (left, right))
        found = differences(one._cfg_dict, other._cfg_dict)
        for difference in found:
            click.echo(str(difference))
    sys.exit(1 if found else 0)


@command.command()
@click.argument("path", type=ExistingFile())
@click.argument("overrides", nargs=-1, metavar="[key=value ...]")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A .py, .yaml or .json file.")
@click.option(
    "--format", "kind", type=click.Choice(["py", "yaml", "json"]), default="py", show_default=True
)
@reading
def dump(path: str, overrides: tuple[str, ...], output: str | None, kind: str, **how: Any) -> None:
    """Write a config as one file without bases, which reads back as the same value."""
    with reported():
        config = read(path, overrides, **how)
        if output is None:
            click.echo(dump_text(config._cfg_dict, f".{kind}"), nl=False)
        else:
            config.dump(output)

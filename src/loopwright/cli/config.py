"""``loopwright config``: show, explain, compare and dump configs without running them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from loopwright.cli.files import ExistingFile
from loopwright.cli.printing import say
from loopwright.cli.reading import read_config, takes_overrides, takes_reading
from loopwright.config import ConfigError
from loopwright.config.diff import differences
from loopwright.config.dump import dump as dump_text
from loopwright.config.paths import join_path
from loopwright.config.provenance import short, walk_places

EXIT_CONFIG = 2


@click.group()
def command() -> None:
    """Show, explain, compare and dump configs. Nothing in a config is run or imported."""


@contextmanager
def reported() -> Iterator[None]:
    """A mistake in a config as a message and exit code 2."""
    try:
        yield
    except ConfigError as error:
        say(f"error: {error}", err=True)
        for note in getattr(error, "__notes__", ()):
            say(f"  {note}", err=True)
        sys.exit(EXIT_CONFIG)


@command.command()
@click.argument("path", type=ExistingFile())
@takes_overrides
@click.option("--why", metavar="KEY", help="Every value KEY has had and where it was written.")
@click.option("--origins", is_flag=True, help="One line a value, with the place it comes from.")
@takes_reading
def show(path: str, overrides: tuple[str, ...], why: str | None, origins: bool, **how: Any) -> None:
    """Print a config as it is after inheritance and overrides."""
    with reported():
        config = read_config(path, overrides, **how)
        if why:
            for step in config.why(why):
                say(str(step))
        elif origins:
            for keys, value, place in walk_places(config._cfg_dict):
                say(f"{join_path(keys)} = {short(value)}  ({place or 'origin unknown'})")
        else:
            say(config.pretty_text, nl=False)


@command.command()
@click.argument("left", type=ExistingFile())
@click.argument("right", type=ExistingFile())
@takes_overrides
@takes_reading
def diff(left: str, right: str, overrides: tuple[str, ...], **how: Any) -> None:
    """Say what differs between two configs; overrides are those of RIGHT.

    With one file given twice it says what the overrides change. Ends with 1 where the configs
    differ, as diff does.
    """
    with reported():
        one, other = read_config(left, (), **how), read_config(right, overrides, **how)
        found = differences(one._cfg_dict, other._cfg_dict)
        for difference in found:
            say(str(difference))
    sys.exit(1 if found else 0)


@command.command()
@click.argument("path", type=ExistingFile())
@takes_overrides
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A .py, .yaml or .json file.")
@click.option(
    "--format", "kind", type=click.Choice(["py", "yaml", "json"]), default="py", show_default=True
)
@takes_reading
def dump(path: str, overrides: tuple[str, ...], output: str | None, kind: str, **how: Any) -> None:
    """Write a config as one file without bases, which reads back as the same value."""
    with reported():
        config = read_config(path, overrides, **how)
        if output is None:
            click.echo(dump_text(config._cfg_dict, f".{kind}"), nl=False)  # each form has escapes
        else:
            config.dump(output)

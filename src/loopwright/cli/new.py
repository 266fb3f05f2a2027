"""``loopwright new``: a commented starter project that trains as it is."""

from __future__ import annotations

import keyword
from importlib.resources import files
from pathlib import Path

import click

PARTS = ("config.py", "parts.py", "README.md")


@click.command()
@click.argument("name", type=click.Path(path_type=Path))
def command(name: Path) -> None:
    """Write a starter project into the new folder NAME: config, model, data set, metric and hook.

    It trains as it is, in seconds and without a download, on pictures of discs, squares and
    crosses that it draws itself. Every line that you will change says what it is for.

    \b
    loopwright new shapes
    cd shapes
    loopwright plan config.py --import
    loopwright train config.py
    """
    if not name.name.isidentifier() or keyword.iskeyword(name.name):
        raise click.UsageError(
            f"{name.name!r} must be a Python name (letters, digits, _), as it becomes a module"
        )
    if name.exists() and any(name.iterdir() if name.is_dir() else [name]):
        raise click.UsageError(f"{name} exists already and is not empty")
    write(name)
    click.echo(f"{name}: {', '.join(('config.py', f'{name.name}_parts.py', 'README.md'))}")
    click.echo(f"next: cd {name} && loopwright train config.py")


def write(folder: Path) -> None:
    """The files of the project, its name put in."""
    folder.mkdir(parents=True, exist_ok=True)
    templates = files("loopwright.cli") / "starter"
    for part in PARTS:
        text = (templates / f"{part}.txt").read_text(encoding="utf-8")
        target = f"{folder.name}_parts.py" if part == "parts.py" else part
        (folder / target).write_text(text.replace("PROJECT", folder.name), encoding="utf-8")

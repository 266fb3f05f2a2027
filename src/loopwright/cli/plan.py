"""``loopwright plan``: the whole run before it starts."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import click

from loopwright.cli.files import ExistingFile
from loopwright.cli.printing import console
from loopwright.cli.reading import read_config, takes_overrides, takes_reading
from loopwright.cli.run import default_work_dir, reported


@click.command()
@click.argument("config", type=ExistingFile())
@takes_overrides
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--html", "html", metavar="FILE", help="Write one HTML page.")
@click.option("--png", "png", metavar="FILE", help="Draw the curves.")
@click.option("--by-parameter", is_flag=True, help="Every parameter instead of every group.")
@click.option(
    "--world-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that will train.",
)
@click.option(
    "--epoch-length",
    type=click.IntRange(min=1),
    help="Steps an epoch, where the data cannot be counted.",
)
@click.option("--no-model", is_flag=True, help="Leave out the model (and torch).")
@click.option("--no-data", is_flag=True, help="Do not open the data set to count it.")
@click.option("--import", "imports", is_flag=True, help="Import what custom_imports names.")
@takes_reading
@click.option("--debug", is_flag=True, help="Show tracebacks of config mistakes too.")
def command(
    config: str,
    overrides: tuple[str, ...],
    as_json: bool,
    html: str | None,
    png: str | None,
    by_parameter: bool,
    world_size: int,
    epoch_length: int | None,
    no_model: bool,
    no_data: bool,
    imports: bool,
    debug: bool,
    **reading: Any,
) -> None:
    """Show what CONFIG will do: sizes, groups, curves, hooks, memory, and every mistake at once.

    Trains nothing and writes nothing but the files asked for. Ends with 0 when all is well, 1 when
    there are warnings, 2 when there are errors.
    """
    with reported(debug):
        cfg = read_config(config, overrides, **reading)
        if cfg.get("resume") and cfg.get("work_dir") is None:
            cfg["work_dir"] = default_work_dir(config)
        if imports:
            importlib.import_module("loopwright.cli.run").import_users(cfg, config)
        planning = importlib.import_module("loopwright.plan")
        plan = planning.make_plan(
            cfg,
            with_model=not no_model,
            with_data=not no_data,
            imported=imports,
            world=world_size,
            epoch_length=epoch_length,
        )
        _give(plan, config, as_json=as_json, html=html, png=png, by_parameter=by_parameter)
    sys.exit(plan.exit_code)


def _give(
    plan: object,
    config: str,
    *,
    as_json: bool,
    html: str | None,
    png: str | None,
    by_parameter: bool,
) -> None:
    if html is not None:
        text = importlib.import_module("loopwright.plan.page").page(plan, config)
        with open(html, "w", encoding="utf-8") as file:
            file.write(text)
    if png is not None:
        importlib.import_module("loopwright.plan.picture").draw(plan, png)
    if as_json:
        data = importlib.import_module("loopwright.plan.data").to_data(plan)
        click.echo(json.dumps(data, indent=1))
    else:
        show = importlib.import_module("loopwright.plan.text").show
        show(plan, console(), by_parameter=by_parameter)

"""What train, val and test share: options, reading the config, errors as one clear message."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from loopwright.cli.files import ExistingFile
from loopwright.cli.printing import say
from loopwright.cli.reading import read_config, takes_overrides, takes_reading
from loopwright.config import Config, ConfigError
from loopwright.registry import BuildError, RefusedNameError, UnknownNameError, allow_packages

EXIT_CONFIG = 2
EXIT_FAULT = 70
EXIT_INTERRUPTED = 130


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments and options that every running command takes."""
    for option in reversed(
        (
            click.argument("config", type=ExistingFile()),
            takes_overrides,
            click.option("--work-dir", help="Folder of the run; default work_dirs/<config name>."),
            click.option("--launcher", help="none, pytorch, slurm or mpi; default: found out."),
            click.option("--allow", multiple=True, metavar="PACKAGE", help="Let it name classes."),
            takes_reading,
            click.option("--debug", is_flag=True, help="Show tracebacks of config mistakes too."),
        )
    ):
        command = option(command)
    return command


def read(
    config: str,
    overrides: tuple[str, ...],
    *,
    work_dir: str | None,
    launcher: str | None,
    allow: tuple[str, ...],
    **reading: Any,
) -> Config:
    """The config with the command line's wishes in it, and the user's modules imported."""
    cfg = read_config(config, overrides, **reading)
    if work_dir is not None:
        cfg["work_dir"] = work_dir
    elif cfg.get("work_dir") is None:
        cfg["work_dir"] = default_work_dir(config)
    if launcher is not None:
        cfg["launcher"] = launcher
    allow_packages(*allow)
    return cfg


def default_work_dir(config: str) -> str:
    """The run folder of a config that names none."""
    return os.path.join("work_dirs", os.path.splitext(os.path.basename(config))[0])


def import_users(cfg: Config, config: str) -> None:
    """Import what ``custom_imports`` names; we answer ``import mmengine`` where it is absent."""
    if cfg.get("custom_imports") and importlib.util.find_spec("mmengine") is None:
        importlib.import_module("loopwright.compat").install("mmengine")
    importlib.import_module("loopwright.build.imports").import_custom(cfg, config)


def start(cfg: Config, config: str, *, training: bool = True) -> Any:
    """The runner of a config (torch is imported only now), after the checks that a plan makes.

    Raises ConfigError with every mistake found. Warnings go to the run's log.
    """
    with collector_at_rest():
        import_users(cfg, config)
        importlib.import_module("loopwright.runner")
    findings = importlib.import_module("loopwright.plan").check(cfg)
    warnings = [f for f in findings if f.level == "warning"] if training else []
    errors = [str(finding) for finding in findings if finding.level == "error"]
    if errors:
        _say(*map(str, warnings))
        raise ConfigError("\n".join(errors).removeprefix("error: "))
    runner = importlib.import_module("loopwright.runner").Runner.from_cfg(cfg)
    for finding in warnings:
        runner.logger.warning(str(finding).removeprefix("warning: "))
    runner.told = frozenset(finding.message for finding in warnings)
    return runner


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """No garbage collection meanwhile: what is imported stays, and is much to walk through."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@contextmanager
def reported(debug: bool) -> Iterator[None]:
    """Mistakes of the user as one message and an exit code; faults with their traceback."""
    try:
        yield
    except (ConfigError, BuildError, UnknownNameError, RefusedNameError) as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {error}", *getattr(error, "__notes__", ()))
        sys.exit(EXIT_CONFIG)
    except KeyboardInterrupt as error:
        _say(f"interrupted: {error or 'before the first checkpoint'}")
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException:
        raise
    except Exception as error:
        code = getattr(error, "exit_code", EXIT_CONFIG if _built_wrongly(error) else EXIT_FAULT)
        if code == EXIT_FAULT or debug:
            logging.getLogger("loopwright").debug("run failed", exc_info=True)
            traceback.print_exc()
        else:
            _say(f"error: {error}", *getattr(error, "__notes__", ()))
        sys.exit(code)


def _built_wrongly(error: Exception) -> bool:
    """Whether a part refused what the config gave it; what a run raises is a fault."""
    notes = getattr(error, "__notes__", ())
    return isinstance(error, ValueError | TypeError) and any(
        note.startswith("while building") for note in notes
    )


def _say(*lines: str) -> None:
    for line in lines:
        say(line, err=True)

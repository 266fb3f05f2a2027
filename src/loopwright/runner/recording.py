"""Where a run's words and numbers go: logger, storage, hub, visualizer and writers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import BuiltinFunctionType, FunctionType
from typing import Any

from loopwright.build.owners import others_in
from loopwright.config import Config, Deferred
from loopwright.config.paths import join_path
from loopwright.config.provenance import chain, short, walk_places
from loopwright.log import (
    EventStorage,
    LogProcessor,
    MessageHub,
    MMLogger,
    Visualizer,
    WriterSet,
    usual_writers,
)
from loopwright.registry import LOG_PROCESSORS, VISUALIZERS
from loopwright.runner.facts import facts


def build_logger(runner: Any) -> MMLogger:
    """A logger to the console and to ``<work_dir>/<timestamp>/<timestamp>.log``.

    It begins with which files of the config others may have changed.
    """
    file = os.path.join(runner.log_dir, f"{runner.timestamp}.log")
    logger = MMLogger(
        runner.experiment_name,
        log_file=file,
        log_level=runner.spec.log_level,
        distributed=runner.distributed,
    )
    for text in others_in(runner.cfg):
        logger.warning(f"{text}; faults.others_files='refuse' stops at this")
    return logger


@contextmanager
def current(runner: Any) -> Iterator[None]:
    """Inside, ``get_current_instance`` of hub, logger and visualizer answers this run's own."""
    with ExitStack() as stack:
        for part in (runner.message_hub, runner.logger, runner.visualizer):
            if hasattr(part, "current"):
                stack.enter_context(part.current())
        yield


def build_storage(runner: Any) -> tuple[EventStorage, MessageHub]:
    """The storage of the run and MMEngine's hub over it, each this run's own."""
    storage = EventStorage()
    return storage, MessageHub(runner.experiment_name, storage=storage)


def build_log_processor(runner: Any) -> Any:
    """The log processor: from its config, or one that counts as the training loop does."""
    cfg = runner.spec.log_processor
    if cfg is None:
        return LogProcessor(by_epoch=_by_epoch(runner.spec.train_cfg))
    if not isinstance(cfg, dict):
        return cfg
    return LOG_PROCESSORS.build({"type": "LogProcessor", **cfg})


def build_visualizer(runner: Any) -> Any:
    """The visualizer with its backends, which also receive every record."""
    cfg = runner.spec.visualizer
    if cfg is None:
        return Visualizer(runner.experiment_name, save_dir=runner.log_dir)
    if not isinstance(cfg, dict):
        return cfg
    defaults = {"name": runner.experiment_name, "save_dir": runner.log_dir}
    return VISUALIZERS.build({"type": "Visualizer", **cfg}, **defaults)


def build_writers(runner: Any) -> WriterSet:
    """Console, files in the run folder, and what the visualizer writes to.

    Only rank 0 writes.
    """
    if runner.rank != 0:
        return WriterSet()
    return WriterSet([*usual_writers(runner.work_dir), runner.visualizer])


def config_text(cfg: Any) -> str:
    """The whole config as text that reads back; objects of the user's are told by their type.

    >>> print(config_text({"seed": 1, "model": object()}), end="")
    seed = 1
    model = '<object>'
    """
    values = {key: _as_data(cfg[key]) for key in cfg}
    return Config(values).pretty_text


def _as_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_as_data(item) for item in value])
    if isinstance(value, str | int | float | bool | bytes | Deferred) or value is None:
        return value
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return Deferred(value.__module__, value.__qualname__)
    return f"<{type(value).__qualname__}>"


def dump_config(runner: Any) -> None:
    """The resolved config into the run folder, under its file's name, and where it comes from."""
    if runner.rank != 0:
        return
    os.makedirs(runner.log_dir, exist_ok=True)
    notes = {"environment.json": facts(runner), "config_origins.json": config_origins(runner.cfg)}
    for name, value in notes.items():
        with open(os.path.join(runner.log_dir, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
    stem = os.path.splitext(os.path.basename(runner.cfg.filename or "config.py"))[0]
    with open(os.path.join(runner.work_dir, f"{stem}.py"), "w", encoding="utf-8") as file:
        file.write(runner.cfg_text)


def config_origins(cfg: Any) -> dict[str, list[list[str]]]:
    """For each leaf of a config the values it has had, oldest first, and where each was written."""
    return {
        join_path(keys): [[short(s.value), str(s.origin or "")] for s in chain(value, place)]
        for keys, value, place in walk_places(cfg._cfg_dict)
    }


def copy_logs(runner: Any, folder: str, suffixes: tuple[str, ...], *, keep_local: bool) -> None:
    """Copy (or move) the log files of the run folder and its newest log folder."""
    if runner.rank != 0:
        return
    target = os.path.join(folder, os.path.basename(runner.work_dir))
    os.makedirs(target, exist_ok=True)
    for place in (runner.work_dir, runner.log_dir):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if os.path.isfile(path) and name.endswith(suffixes):
                (shutil.copy2 if keep_local else shutil.move)(path, target)


def _by_epoch(train_cfg: Any) -> bool:
    if not isinstance(train_cfg, dict):
        return True
    if "by_epoch" in train_cfg:
        return bool(train_cfg["by_epoch"])
    return "IterBased" not in str(train_cfg.get("type", ""))

"""The writers of a run when nobody chooses: console, JSON lines, CSV, TensorBoard if there."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from loopwright.log.writers.base import Writer
from loopwright.log.writers.console import ConsoleWriter
from loopwright.log.writers.csv import CSVWriter
from loopwright.log.writers.jsonl import JSONLWriter
from loopwright.log.writers.tensorboard import TensorBoardWriter

__all__ = ["usual_writers"]


def usual_writers(folder: str | os.PathLike[str], *, console: bool = True) -> list[Writer]:
    """Writers into `folder`; TensorBoard events go below it where TensorBoard is installed."""
    writers: list[Writer] = [ConsoleWriter()] if console else []
    writers += [JSONLWriter(folder), CSVWriter(folder)]
    if find_spec("tensorboard") is not None:
        writers.append(TensorBoardWriter(Path(folder) / "tensorboard"))
    return writers

"""detectron2's loggers: what a script says to them goes where our own lines go."""

from __future__ import annotations

import logging

from loopwright.compat.detectron2 import PACKAGES
from loopwright.trainer import setup_logger as ours

__all__ = ["setup_logger"]


def setup_logger(
    output: str | None = None,
    distributed_rank: int = 0,
    *,
    color: bool = True,
    name: str = "detectron2",
    abbrev_name: str | None = None,
    enable_propagation: bool = False,
    configure_stdout: bool = True,
) -> logging.Logger:
    """The logger ``name``, saying to the terminal (rank 0) and to a folder's ``log.txt`` or a file.

    detectron2's own is set up together with ours. Colours, short names, propagation and a silent
    terminal are taken without effect.
    """
    answered = name.partition(".")[0] in PACKAGES
    ours(output, distributed_rank, name="loopwright" if answered else name)
    return logging.getLogger(name)

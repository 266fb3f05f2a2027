"""The one rich console that bars and log lines share, and that outlives its terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["quietly", "shared_console", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"


@cache
def shared_console() -> Console:
    """The process's console; a broken pipe silences it instead of ending the run."""
    return steady_console()


def steady_console(**options: object) -> Console:
    """A rich Console that goes quiet where rich would end the process (closed pipe)."""
    from rich.console import Console

    class SteadyConsole(Console):
        def on_broken_pipe(self) -> None:
            quietly(self)

    return SteadyConsole(**options)  # type: ignore[arg-type]


def quietly(console: Console) -> None:
    """Silence a console whose terminal is gone; what is still buffered goes nowhere."""
    console.quiet = True
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no file, or closed already
        descriptor, nowhere = console.file.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def sparkline(values: Sequence[float], width: int = 30) -> str:
    """The last `width` values as block characters; what is not finite shows as a blank.

    >>> sparkline([0.0, 1.0, 2.0, float("nan"), 7.0])
    '▁▂▃ █'
    """
    shown = list(values)[-width:]
    finite = [v for v in shown if abs(v) < float("inf")]
    if not finite:
        return " " * len(shown)
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        _BLOCKS[min(int((v - low) / span * 8), 7)] if abs(v) < float("inf") else " " for v in shown
    )

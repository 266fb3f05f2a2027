"""detectron2's and fvcore's small classes and functions beside the engine."""

from __future__ import annotations

import logging
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

import loopwright
from loopwright.config.errors import nearest
from loopwright.registry import MODELS
from loopwright.registry import Registry as Ours
from loopwright.registry.allow import locate

__all__ = [
    "META_ARCH_REGISTRY",
    "Registry",
    "Timer",
    "collect_env_info",
    "create_small_table",
    "locate",
    "log_every_n",
    "log_every_n_seconds",
    "log_first_n",
]


class Registry:
    """Names to classes and functions, with fvcore's three methods.

    >>> HEADS = Registry("HEAD")
    >>> @HEADS.register()
    ... class Box: ...
    >>> HEADS.get("Box") is Box, "Bix" in HEADS
    (True, False)
    """

    def __init__(self, name: str, *, over: Ours | None = None) -> None:
        self._name = name
        self._ours = Ours(name.lower(), scope=name) if over is None else over

    def register(self, obj: Any = None) -> Any:
        """Register a class or function under its name; as ``@register()`` or by a call."""
        return self._ours.register_module() if obj is None else self._ours.register_module(obj)

    def get(self, name: str) -> Any:
        """What a name stands for. Raises KeyError, with the nearest, for an unknown one."""
        found = self._ours.get(name)
        if found is None:
            known = nearest(name, self._ours.names())
            raise KeyError(f"{name!r} is not registered in {self._name}{known}")
        return found

    def __contains__(self, name: str) -> bool:
        return self._ours.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._ours.module_dict.items())

    def __repr__(self) -> str:
        return f"Registry of {self._name}: {', '.join(self._ours.module_dict)}"


META_ARCH_REGISTRY = Registry("META_ARCH", over=MODELS)
"""Models that ``MODEL.META_ARCHITECTURE`` may name: our MODELS."""


class Timer:
    """Seconds since it was made or reset, without those between pause and resume."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self._start, self._paused_at, self._away = time.perf_counter(), None, 0.0

    _paused_at: float | None

    def pause(self) -> None:
        """Stop counting. Raises ValueError when it is paused already."""
        if self._paused_at is not None:
            raise ValueError("the timer is paused already")
        self._paused_at = time.perf_counter()

    def is_paused(self) -> bool:
        return self._paused_at is not None

    def resume(self) -> None:
        """Count on. Raises ValueError when it is not paused."""
        if self._paused_at is None:
            raise ValueError("the timer is not paused")
        self._away += time.perf_counter() - self._paused_at
        self._paused_at = None

    def seconds(self) -> float:
        """What was counted."""
        end = time.perf_counter() if self._paused_at is None else self._paused_at
        return end - self._start - self._away


_COUNTS: dict[Any, int] = {}
_TIMES: dict[Any, float] = {}


def _caller() -> tuple[str, int, str]:
    """The file, line and module of who called the function that calls this."""
    frame = sys._getframe(2)
    return frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "root")


def log_first_n(
    lvl: int,
    msg: str,
    n: int = 1,
    *,
    name: str | None = None,
    key: str | tuple[str, ...] = "caller",
) -> None:
    """Log the first ``n`` times that this line (or this message, with ``key="message"``) comes."""
    file, line, module = _caller()
    keys = (key,) if isinstance(key, str) else key
    what: tuple[Any, ...] = (file, line) if "caller" in keys else ()
    what += (msg,) if "message" in keys else ()
    _COUNTS[what] = _COUNTS.get(what, 0) + 1
    if _COUNTS[what] <= n:
        logging.getLogger(name or module).log(lvl, msg)


def log_every_n(lvl: int, msg: str, n: int = 1, *, name: str | None = None) -> None:
    """Log every ``n``-th time that this line comes, the first included."""
    file, line, module = _caller()
    count = _COUNTS[file, line] = _COUNTS.get((file, line), 0) + 1
    if n == 1 or count % n == 1:
        logging.getLogger(name or module).log(lvl, msg)


def log_every_n_seconds(lvl: int, msg: str, n: int = 1, *, name: str | None = None) -> None:
    """Log when this line was not logged in the last ``n`` seconds."""
    file, line, module = _caller()
    now = time.monotonic()
    if now - _TIMES.get((file, line), -float("inf")) >= n:
        logging.getLogger(name or module).log(lvl, msg)
        _TIMES[file, line] = now


def create_small_table(small_dict: Mapping[str, Any]) -> str:
    """A dict of a few numbers as a table of two rows.

    >>> print(create_small_table({"AP": 40.1, "n": 2}))
    |   AP   | n |
    |--------|---|
    | 40.100 | 2 |
    """
    values = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in small_dict.values()]
    widths = [max(len(k), len(v)) for k, v in zip(small_dict, values, strict=True)]
    rows = [small_dict, values]
    lines = [
        "|" + "|".join(f" {cell:^{w}} " for cell, w in zip(row, widths, strict=True)) + "|"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def collect_env_info() -> str:
    """Versions and devices, a line each."""
    facts = {
        "platform": platform.platform(),
        "Python": platform.python_version(),
        "loopwright": loopwright.__version__,
        "PyTorch": torch.__version__,
        "CUDA": torch.version.cuda or "none",
    }
    for index in range(torch.cuda.device_count()):
        facts[f"GPU {index}"] = torch.cuda.get_device_name(index)
    return "\n".join(f"{name:<12} {value}" for name, value in facts.items())

"""The options in a `compile` section: which there are and what they may be. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.core.nearest import nearest_or_all

KEYS = (
    "enabled",
    "mode",
    "backend",
    "dynamic",
    "fullgraph",
    "options",
    "modules",
    "recompile_limit",
    "on_limit",
    "on_failure",
    "target",
    "disable",
)
MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "lite")
_CHOICES: dict[str, tuple[str, ...]] = {
    "on_limit": ("warn", "error"),
    "on_failure": ("warn", "error"),
    "target": ("forward",),
    "mode": MODES,
}
_TRUTHS = ("enabled", "fullgraph", "disable")


def checked(cfg: Any) -> dict[str, Any]:
    """The options in a `compile` section, after checking names and values.

    >>> checked(True), checked({"mode": "reduce-overhead", "target": "forward"})
    ({'enabled': True}, {'mode': 'reduce-overhead'})
    """
    if isinstance(cfg, bool):
        return {"enabled": cfg}
    if not isinstance(cfg, Mapping):
        raise TypeError(f"compile must be True, False or a dict, got {cfg!r}")
    for key, value in cfg.items():
        _check(key, value)
    return {key: value for key, value in cfg.items() if key != "target"}


def _check(key: str, value: Any) -> None:
    if key not in KEYS:
        raise ValueError(f"compile has no {key!r}{nearest_or_all(key, KEYS)}")
    if value is None:
        return
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ValueError(f"compile.{key} must be {_either(_CHOICES[key])}, got {value!r}")
    if key == "dynamic" and value not in (True, False, "batch"):
        raise ValueError(f"compile.dynamic must be True, False, None or 'batch', got {value!r}")
    if key in _TRUTHS and not isinstance(value, bool):
        raise ValueError(f"compile.{key} must be True or False, got {value!r}")
    whole = isinstance(value, int) and not isinstance(value, bool)
    if key == "recompile_limit" and (not whole or value < 1):
        raise ValueError(
            f"compile.recompile_limit must be a whole number of at least 1, got {value!r}"
        )


def _either(choices: tuple[str, ...]) -> str:
    *first, last = map(repr, choices)
    return f"{', '.join(first)} or {last}" if first else last

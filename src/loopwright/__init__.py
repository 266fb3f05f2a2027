"""Loopwright: the training engine that shows a run, runs it fast, and never loses it.

Names are loaded when first used, so that reading a config does not import torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Config": "loopwright.config",
    "ConfigDict": "loopwright.config",
    "ConfigError": "loopwright.config",
    "Hook": "loopwright.hooks",
    "Runner": "loopwright.runner",
    "EventStorage": "loopwright.log",
    "get_event_storage": "loopwright.log",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'loopwright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

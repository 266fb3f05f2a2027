"""Checkpoints: whole or not at all, verified when read, nothing executed.

Names are resolved when first used, so that reading a manifest does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopwright.checkpoint.errors import (
        Broken,
        CheckpointError,
        Refused,
        SaveError,
        StateError,
        WeightsError,
    )
    from loopwright.checkpoint.retain import better, infer_rule, retain
    from loopwright.checkpoint.state import nonfinite, pack, unpack
    from loopwright.checkpoint.store import Entry, Loaded, Store

_WHERE = {
    "Broken": "errors",
    "CheckpointError": "errors",
    "Entry": "store",
    "Loaded": "store",
    "Refused": "errors",
    "SaveError": "errors",
    "StateError": "errors",
    "Store": "store",
    "WeightsError": "errors",
    "better": "retain",
    "infer_rule": "retain",
    "nonfinite": "state",
    "pack": "state",
    "retain": "retain",
    "unpack": "state",
}

__all__ = [
    "Broken",
    "CheckpointError",
    "Entry",
    "Loaded",
    "Refused",
    "SaveError",
    "StateError",
    "Store",
    "WeightsError",
    "better",
    "infer_rule",
    "nonfinite",
    "pack",
    "retain",
    "unpack",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)

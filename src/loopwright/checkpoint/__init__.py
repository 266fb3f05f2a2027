"""Checkpoints: whole or not at all, verified when read, nothing executed.

Names are resolved when first used, so that reading a manifest does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopwright.core.later import imported_later

if TYPE_CHECKING:
    from loopwright.checkpoint.download import fetch
    from loopwright.checkpoint.errors import (
        Broken,
        CheckpointError,
        Refused,
        SaveError,
        StateError,
        WeightsError,
    )
    from loopwright.checkpoint.loading import find_state_dict, load_any
    from loopwright.checkpoint.retention import better, infer_rule, retain
    from loopwright.checkpoint.state import digest, nonfinite, pack, unpack
    from loopwright.checkpoint.store import Entry, Loaded, Store
    from loopwright.checkpoint.weights import Report, load_weights

_WHERE = {
    "Broken": "errors",
    "CheckpointError": "errors",
    "Entry": "store",
    "Loaded": "store",
    "Refused": "errors",
    "Report": "weights",
    "SaveError": "errors",
    "StateError": "errors",
    "Store": "store",
    "WeightsError": "errors",
    "better": "retention",
    "digest": "state",
    "fetch": "download",
    "find_state_dict": "loading",
    "infer_rule": "retention",
    "load_any": "loading",
    "load_weights": "weights",
    "nonfinite": "state",
    "pack": "state",
    "retain": "retention",
    "unpack": "state",
}

__all__ = [
    "Broken",
    "CheckpointError",
    "Entry",
    "Loaded",
    "Refused",
    "Report",
    "SaveError",
    "StateError",
    "Store",
    "WeightsError",
    "better",
    "digest",
    "fetch",
    "find_state_dict",
    "infer_rule",
    "load_any",
    "load_weights",
    "nonfinite",
    "pack",
    "retain",
    "unpack",
]

__getattr__, __dir__ = imported_later(__name__, _WHERE)

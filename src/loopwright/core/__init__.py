"""The engine's floor: where a run is, the moments it has, and what one iteration is."""

from loopwright.core.cadence import every, interval_at, next_val, val_due
from loopwright.core.evaluate import EvalLoop
from loopwright.core.loop import TrainLoop
from loopwright.core.points import POINTS, Priority, get_priority
from loopwright.core.progress import Progress
from loopwright.core.requests import Requests
from loopwright.core.salvage import Salvage, salvage
from loopwright.core.table import HookTable

__all__ = [
    "POINTS",
    "EvalLoop",
    "HookTable",
    "Priority",
    "Progress",
    "Requests",
    "Salvage",
    "TrainLoop",
    "every",
    "get_priority",
    "interval_at",
    "next_val",
    "salvage",
    "val_due",
]

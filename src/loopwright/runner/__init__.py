"""The first face: MMEngine's Runner and loops over the core."""

from loopwright.runner.evaluating import TestLoop, ValLoop
from loopwright.runner.loops import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from loopwright.runner.runner import Runner

__all__ = [
    "BaseLoop",
    "EpochBasedTrainLoop",
    "IterBasedTrainLoop",
    "Runner",
    "TestLoop",
    "ValLoop",
]

"""Hooks: what is done at the moments of a run, one hook a file."""

from loopwright.hooks.checkpoint import CheckpointHook
from loopwright.hooks.curves import CurvesHook
from loopwright.hooks.finite_loss import FiniteLossHook, NonFiniteLossError
from loopwright.hooks.hook import Hook
from loopwright.hooks.iter_timer import IterTimerHook
from loopwright.hooks.logger import LoggerHook
from loopwright.hooks.param_scheduler import ParamSchedulerHook
from loopwright.hooks.runtime_info import RuntimeInfoHook
from loopwright.hooks.sampler_seed import DistSamplerSeedHook
from loopwright.hooks.visualization import DetVisualizationHook, SegVisualizationHook

__all__ = [
    "CheckpointHook",
    "CurvesHook",
    "DetVisualizationHook",
    "DistSamplerSeedHook",
    "FiniteLossHook",
    "Hook",
    "IterTimerHook",
    "LoggerHook",
    "NonFiniteLossError",
    "ParamSchedulerHook",
    "RuntimeInfoHook",
    "SegVisualizationHook",
]

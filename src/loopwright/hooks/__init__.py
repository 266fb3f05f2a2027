"""Hooks: what is done at the moments of a run, one hook a file.

Those whose modules need torch are loaded when first named, so that a plan can order hooks without.
"""

from __future__ import annotations

from loopwright.core.later import imported_later
from loopwright.hooks.checkpoint import CheckpointHook
from loopwright.hooks.curves import CurvesHook
from loopwright.hooks.early_stopping import EarlyStoppingHook
from loopwright.hooks.ema import EMAHook
from loopwright.hooks.finite_loss import FiniteLossHook, NonFiniteLossError
from loopwright.hooks.hook import Hook
from loopwright.hooks.iter_timer import IterTimerHook
from loopwright.hooks.logger import LoggerHook
from loopwright.hooks.naive_visualization import NaiveVisualizationHook
from loopwright.hooks.param_scheduler import ParamSchedulerHook
from loopwright.hooks.pipeline_switch import PipelineSwitchHook
from loopwright.hooks.runtime_info import RuntimeInfoHook
from loopwright.hooks.sampler_seed import DistSamplerSeedHook
from loopwright.hooks.tta import PrepareTTAHook
from loopwright.hooks.visualization import DetVisualizationHook, SegVisualizationHook

_WITH_TORCH = {
    "CompileReportHook": "compile_report",
    "EmptyCacheHook": "housekeeping",
    "GradientStatsHook": "statistics",
    "MemoryStatsHook": "housekeeping",
    "PPYOLOEParamSchedulerHook": "yolo_schedule",
    "PreciseBNHook": "precise_bn",
    "ProfilerHook": "profiler",
    "SyncBuffersHook": "housekeeping",
    "TimeLimitHook": "housekeeping",
    "YOLOv5ParamSchedulerHook": "yolo_schedule",
}

__all__ = [
    "CheckpointHook",
    "CurvesHook",
    "DetVisualizationHook",
    "DistSamplerSeedHook",
    "EMAHook",
    "EarlyStoppingHook",
    "FiniteLossHook",
    "Hook",
    "IterTimerHook",
    "LoggerHook",
    "NaiveVisualizationHook",
    "NonFiniteLossError",
    "ParamSchedulerHook",
    "PipelineSwitchHook",
    "PrepareTTAHook",
    "RuntimeInfoHook",
    "SegVisualizationHook",
    *_WITH_TORCH,
]

__getattr__, __dir__ = imported_later(__name__, _WITH_TORCH)

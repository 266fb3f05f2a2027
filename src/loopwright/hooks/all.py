"""Every hook of ours, those included whose modules need torch when imported."""

from loopwright.hooks import (
    compile_report,
    housekeeping,
    precise_bn,
    profiler,
    statistics,
    yolo_schedule,
)

__all__ = [
    "compile_report",
    "housekeeping",
    "precise_bn",
    "profiler",
    "statistics",
    "yolo_schedule",
]

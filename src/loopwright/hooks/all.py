"""Every hook of ours, those included whose modules need torch when imported."""

from loopwright.hooks import housekeeping, precise_bn, profiler, statistics

__all__ = ["housekeeping", "precise_bn", "profiler", "statistics"]

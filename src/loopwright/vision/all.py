"""Imports every module of vision that registers something, for the registries to find."""

from loopwright.vision import datasets, files, metrics

__all__ = ["datasets", "files", "metrics"]

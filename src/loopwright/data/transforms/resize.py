"""Transforms that change the size of an image with all that lies on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.data.transforms.base import (
    BaseTransform,
    Results,
    between,
    objects_inside,
    pixels,
    resized,
    size_pair,
)
from loopwright.registry import TRANSFORMS


def resize_to(results: Results, height: int, width: int, mode: str, *, clip: bool) -> Results:
    """Resize image, label map, masks, boxes and keypoints together."""
    old_height, old_width = results["img"].shape[:2]
    results["img"] = resized(results["img"], height, width, mode)
    results["img_shape"] = (height, width)
    across, down = width / old_width, height / old_height
    results["scale_factor"] = (across, down)
    if "gt_seg_map" in results:
        results["gt_seg_map"] = resized(results["gt_seg_map"], height, width, "nearest")
    if "gt_masks" in results:
        masks = results["gt_masks"]
        planes = [resized(mask, height, width, "nearest") for mask in masks]
        results["gt_masks"] = np.stack(planes) if planes else np.zeros((0, height, width), np.uint8)
    if "gt_bboxes" in results:
        factors = np.array([across, down, across, down], np.float32)
        results["gt_bboxes"] = results["gt_bboxes"] * factors
    if "gt_keypoints" in results:
        points = results["gt_keypoints"].copy()
        points[..., :2] *= np.array([across, down], points.dtype)
        results["gt_keypoints"] = points
    return objects_inside(results) if clip else results


def fitted(height: int, width: int, scale: tuple[int, int]) -> tuple[int, int]:
    """The largest (height, width) of the same shape within a long and a short edge.

    >>> fitted(100, 200, (1333, 800))
    (667, 1333)
    """
    long, short = max(scale), min(scale)
    factor = min(long / max(height, width), short / min(height, width))
    return pixels(height * factor), pixels(width * factor)


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    """To ``scale`` (width, height), within it with ``keep_ratio``, or by ``scale_factor``."""

    def __init__(
        self,
        scale: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        keep_ratio: bool = False,
        clip_object_border: bool = True,
        interpolation: str = "bilinear",
        backend: str | None = None,
    ) -> None:
        if (scale is None) == (scale_factor is None):
            raise ValueError("Resize takes either scale or scale_factor")
        self.scale = None if scale is None else size_pair(scale, "scale")
        self.scale_factor = scale_factor
        self.keep_ratio = keep_ratio
        self.clip_object_border = clip_object_border
        self.interpolation = interpolation

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if self.scale is None:
            factor: Any = self.scale_factor
            across, down = factor if isinstance(factor, Sequence) else (factor, factor)
            return pixels(height * down), pixels(width * across)
        if self.keep_ratio:
            return fitted(height, width, self.scale)
        return self.scale[1], self.scale[0]

    def transform(self, results: Results) -> Results:
        height, width = self._size(*results["img"].shape[:2])
        return resize_to(results, height, width, self.interpolation, clip=self.clip_object_border)


@TRANSFORMS.register_module()
class RandomResize(BaseTransform):
    """``Resize`` to ``scale`` times a ratio from ``ratio_range``, or between two scales."""

    def __init__(
        self,
        scale: Any,
        ratio_range: Sequence[float] | None = None,
        resize_type: str = "Resize",
        **resize_kwargs: Any,
    ) -> None:
        self.scale = scale
        self.ratio_range = ratio_range
        self.resize_cfg = {"type": resize_type, **resize_kwargs}

    def _drawn(self) -> tuple[int, int]:
        if self.ratio_range is not None:
            ratio = between(self.ratio_range)
            return max(1, int(self.scale[0] * ratio)), max(1, int(self.scale[1] * ratio))
        one, other = (sorted(scale) for scale in self.scale)
        edges = [sorted(pair) for pair in zip(one, other)]
        short, long = (int(np.random.randint(low, high + 1)) for low, high in edges)
        return long, short

    def transform(self, results: Results) -> Any:
        return TRANSFORMS.build({**self.resize_cfg, "scale": self._drawn()})(results)


@TRANSFORMS.register_module(name=["RandomChoiceResize"])
class RandomChoiceResize(BaseTransform):
    """``Resize`` to one of some scales."""

    def __init__(self, scales: Sequence[Any], resize_type: str = "Resize", **resize_kwargs: Any):
        self.scales = list(scales)
        self.resize_cfg = {"type": resize_type, **resize_kwargs}

    def transform(self, results: Results) -> Any:
        scale = self.scales[np.random.randint(len(self.scales))]
        return TRANSFORMS.build({**self.resize_cfg, "scale": scale})(results)


@TRANSFORMS.register_module()
class ResizeEdge(BaseTransform):
    """Bring one edge (``short``, ``long``, ``width``, ``height``) to ``scale`` pixels."""

    def __init__(
        self,
        scale: int,
        edge: str = "short",
        interpolation: str = "bilinear",
        backend: str | None = None,
    ) -> None:
        if edge not in ("short", "long", "width", "height"):
            raise ValueError(f"edge is short, long, width or height, got {edge!r}")
        self.scale = scale
        self.edge = edge
        self.interpolation = interpolation

    def transform(self, results: Results) -> Results:
        height, width = results["img"].shape[:2]
        edges = {"short": min(height, width), "long": max(height, width)}
        factor = self.scale / {**edges, "width": width, "height": height}[self.edge]
        new = pixels(height * factor), pixels(width * factor)
        return resize_to(results, *new, self.interpolation, clip=True)

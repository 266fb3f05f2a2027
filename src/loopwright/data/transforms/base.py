"""The base of transforms, and what they all know about a sample's dict.

Keys, as OpenMMLab writes them: ``img`` (H, W, C), ``gt_bboxes`` float32 (n, 4) xyxy in pixels,
``gt_bboxes_labels`` int64 (n,), ``gt_ignore_flags`` bool (n,), ``gt_masks`` uint8 (n, H, W),
``gt_seg_map`` uint8 or int64 (H, W), ``gt_label`` int, ``img_shape`` and ``ori_shape`` (H, W).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

Results = dict[str, Any]
OF_OBJECTS = (
    "gt_bboxes",
    "gt_bboxes_labels",
    "gt_ignore_flags",
    "gt_masks",
    "gt_keypoints",
    "gt_ids",
)


class BaseTransform(ABC):
    """A step of a pipeline: override ``transform(results) -> results | None``.

    Draw from python's, numpy's or torch's global generators: the loader seeds them for each sample.
    """

    def __call__(self, results: Results) -> Any:
        return self.transform(results)

    @abstractmethod
    def transform(self, results: Results) -> Any:
        """Change and give back the sample's dict, or None to leave the sample out."""

    def __repr__(self) -> str:
        said = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({said})"


def keep_objects(results: Results, kept: np.ndarray) -> Results:
    """Keep some objects in every field that has one entry an object; ``kept`` is bool or places."""
    for key in OF_OBJECTS:
        if key in results:
            results[key] = results[key][kept]
    return results


def objects_inside(results: Results, *, clip: bool = True) -> Results:
    """Clip boxes to the image and drop those with no inside left."""
    if "gt_bboxes" not in results:
        return results
    height, width = results["img_shape"][:2]
    boxes = results["gt_bboxes"]
    inside = clipped(boxes, height, width)
    kept = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
    results["gt_bboxes"] = inside if clip else boxes
    return results if kept.all() else keep_objects(results, kept)


def clipped(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boxes (n, 4) xyxy cut at the image's borders.

    >>> clipped(np.array([[-1.0, 2.0, 9.0, 3.0]]), 4, 5).tolist()
    [[0.0, 2.0, 5.0, 3.0]]
    """
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def between(ends: Sequence[float]) -> float:
    """A draw from numpy's generator, evenly between two numbers."""
    return float(np.random.uniform(ends[0], ends[1]))


def pixels(length: float) -> int:
    """A length as whole pixels, at least one: however narrow an image is, it stays one."""
    return max(1, int(length + 0.5))


def size_pair(size: Any, what: str) -> tuple[int, int]:
    """Two ints from one or two. Raises TypeError for anything else."""
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    if isinstance(size, list | tuple) and len(size) == 2:
        return int(size[0]), int(size[1])
    raise TypeError(f"{what} must be an int or two of them, got {size!r}")


def resized(image: np.ndarray, height: int, width: int, mode: str = "bilinear") -> np.ndarray:
    """An image (H, W) or (H, W, C) at another size; smoothed where it shrinks, except 'nearest'."""
    if image.shape[:2] == (height, width):
        return image
    if mode == "nearest":
        rows = (np.arange(height) + 0.5) * (image.shape[0] / height)
        columns = (np.arange(width) + 0.5) * (image.shape[1] / width)
        return image[rows.astype(np.intp)[:, None], columns.astype(np.intp)[None, :]]
    planes = torch.from_numpy(np.ascontiguousarray(image))
    planes = planes[None, None] if image.ndim == 2 else planes.permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(planes, (height, width), mode=mode, antialias=True)
    return small[0, 0].numpy() if image.ndim == 2 else small[0].permute(1, 2, 0).numpy()

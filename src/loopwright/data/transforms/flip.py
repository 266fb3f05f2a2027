"""Mirroring a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.data.transforms.base import BaseTransform, Results
from loopwright.registry import TRANSFORMS

DIRECTIONS = ("horizontal", "vertical", "diagonal")


def flip(results: Results, direction: str) -> Results:
    """Mirror everything of a sample left to right, top to bottom, or both (diagonal)."""
    height, width = results["img"].shape[:2]
    axes = {"horizontal": (1,), "vertical": (0,), "diagonal": (0, 1)}[direction]
    results["img"] = np.ascontiguousarray(np.flip(results["img"], axes))
    if "gt_seg_map" in results:
        results["gt_seg_map"] = np.ascontiguousarray(np.flip(results["gt_seg_map"], axes))
    if "gt_masks" in results:
        turned = np.flip(results["gt_masks"], tuple(axis + 1 for axis in axes))
        results["gt_masks"] = np.ascontiguousarray(turned)
    for key in ("gt_bboxes", "gt_keypoints"):
        if key in results:
            results[key] = _mirrored(results[key], axes, height, width, key == "gt_bboxes")
    return results


def _mirrored(
    points: np.ndarray, axes: Sequence[int], height: int, width: int, boxes: bool
) -> np.ndarray:
    moved = points.copy()
    for axis in axes:
        place, extent = (0, width) if axis == 1 else (1, height)
        if boxes:
            moved[:, [place, place + 2]] = extent - moved[:, [place + 2, place]]
        else:
            moved[..., place] = extent - 1 - moved[..., place]
    return moved


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Mirror with probability ``prob``; a list of both gives each direction its own."""

    def __init__(
        self,
        prob: float | Sequence[float] | None = None,
        direction: str | Sequence[str] = "horizontal",
        swap_seg_labels: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.directions = [direction] if isinstance(direction, str) else list(direction)
        wrong = [name for name in self.directions if name not in DIRECTIONS]
        if wrong:
            raise ValueError(f"direction is one of {', '.join(DIRECTIONS)}, got {wrong[0]!r}")
        self.prob = _shares(0.5 if prob is None else prob, len(self.directions))
        self.swap_seg_labels = swap_seg_labels

    def transform(self, results: Results) -> Results:
        drawn = float(np.random.random())
        reached = 0.0
        results["flip"], results["flip_direction"] = False, None
        for share, direction in zip(self.prob, self.directions):
            reached += share
            if drawn < reached:
                results["flip"], results["flip_direction"] = True, direction
                return self._swapped(flip(results, direction))
        return results

    def _swapped(self, results: Results) -> Results:
        if self.swap_seg_labels and "gt_seg_map" in results:
            labels = results["gt_seg_map"].copy()
            for one, other in self.swap_seg_labels:
                labels[results["gt_seg_map"] == one] = other
                labels[results["gt_seg_map"] == other] = one
            results["gt_seg_map"] = labels
        return results


def _shares(prob: Any, count: int) -> list[float]:
    shares = list(prob) if isinstance(prob, Sequence) else [prob / count] * count
    if len(shares) != count or sum(shares) > 1 + 1e-9 or min(shares) < 0:
        raise ValueError(f"prob must be a share of 1, or one for each direction, got {prob!r}")
    return [float(share) for share in shares]

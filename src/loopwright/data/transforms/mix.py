"""Transforms that put several samples into one picture.

Which others is drawn for each sample; no cache of earlier ones is kept, so that the same sample of
the same epoch is the same picture in every worker and after every resume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.data.transforms.base import (
    OF_OBJECTS,
    BaseTransform,
    Results,
    between,
    objects_inside,
    size_pair,
)
from loopwright.data.transforms.crop import cut, pad_to
from loopwright.data.transforms.flip import flip
from loopwright.data.transforms.resize import resize_to
from loopwright.registry import TRANSFORMS


def join_objects(parts: Sequence[Results]) -> Results:
    """The objects of several samples on one canvas, field by field."""
    keys = [key for key in OF_OBJECTS if all(key in part for part in parts)]
    return {key: np.concatenate(_as_wide([part[key] for part in parts])) for key in keys}


def _as_wide(fields: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Keypoints (n, K, 3) of samples with fewer of them, or of none, filled up with zeros."""
    if fields[0].ndim != 3 or len({field.shape[1:] for field in fields}) == 1:
        return list(fields)
    most = max(field.shape[1] for field in fields)
    return [np.pad(field, ((0, 0), (0, most - field.shape[1]), (0, 0))) for field in fields]


@TRANSFORMS.register_module(name=["Mosaic", "CachedMosaic"])
class Mosaic(BaseTransform):
    """Four samples around a random centre, on a canvas of twice ``img_scale`` (width, height).

    Bochkovskiy et al., YOLOv4, 2020. With chance ``1 - prob`` the sample stays alone.
    """

    def __init__(
        self,
        img_scale: Any = (640, 640),
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        bbox_clip_border: bool = True,
        pad_val: float = 114.0,
        prob: float = 1.0,
        max_cached_images: int | None = None,
        random_pop: bool | None = None,
        **_: Any,
    ) -> None:
        self.img_scale = size_pair(img_scale, "img_scale")
        self.center_ratio_range = tuple(center_ratio_range)
        self.bbox_clip_border = bbox_clip_border
        self.pad_val = pad_val
        self.prob = prob

    def mix_with(self, dataset: Any) -> list[int]:
        """Three samples, drawn evenly."""
        return [int(index) for index in np.random.randint(0, len(dataset), 3)]

    def transform(self, results: Results) -> Results | None:
        others = results.pop("mix_results")
        if np.random.random() > self.prob or any(other is None for other in others):
            return results
        wide, tall = self.img_scale
        centre = [int(between(self.center_ratio_range) * edge) for edge in (wide, tall)]
        canvas = _canvas(results["img"], 2 * tall, 2 * wide, self.pad_val)
        parts = [results, *others]
        for corner, part in enumerate(parts):
            height, width = fitted_inside(part["img"].shape[:2], tall, wide)
            resize_to(part, height, width, "bilinear", clip=False)
            _put(part, canvas, corner, centre)
        joined = join_objects(parts)
        results.update(joined, img=canvas, img_shape=canvas.shape[:2])
        results.pop("gt_seg_map", None)
        return objects_inside(results, clip=self.bbox_clip_border)


def fitted_inside(size: Sequence[int], tall: int, wide: int) -> tuple[int, int]:
    """The largest (height, width) of the same shape inside a window."""
    factor = min(tall / size[0], wide / size[1])
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))


def _canvas(like: np.ndarray, height: int, width: int, value: float) -> np.ndarray:
    return np.full((height, width, *like.shape[2:]), value, like.dtype)


def _put(part: Results, canvas: np.ndarray, corner: int, centre: Sequence[int]) -> None:
    """Paste a part so that one of its corners is at the centre, and move its objects along."""
    height, width = part["img"].shape[:2]
    left = centre[0] - width if corner in (0, 2) else centre[0]
    top = centre[1] - height if corner in (0, 1) else centre[1]
    rows = slice(max(top, 0), min(top + height, canvas.shape[0]))
    columns = slice(max(left, 0), min(left + width, canvas.shape[1]))
    source = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    canvas[rows, columns] = part["img"][source]
    if "gt_bboxes" in part:
        part["gt_bboxes"] = part["gt_bboxes"] + np.array([left, top] * 2, np.float32)
    if "gt_masks" in part:
        masks = np.zeros((len(part["gt_masks"]), *canvas.shape[:2]), np.uint8)
        masks[:, rows, columns] = part["gt_masks"][(slice(None), *source)]
        part["gt_masks"] = masks


@TRANSFORMS.register_module(name=["MixUp", "CachedMixUp"])
class MixUp(BaseTransform):
    """Half this sample and half another, at a random scale (Ge et al., YOLOX, 2021).

    Its partner is drawn again, at most ``max_iters`` times, while it has no boxes.
    """

    def __init__(
        self,
        img_scale: Any = (640, 640),
        ratio_range: Sequence[float] = (0.5, 1.5),
        flip_ratio: float = 0.5,
        pad_val: float = 114.0,
        max_iters: int = 15,
        bbox_clip_border: bool = True,
        prob: float = 1.0,
        max_cached_images: int | None = None,
        random_pop: bool | None = None,
        **_: Any,
    ) -> None:
        self.img_scale = size_pair(img_scale, "img_scale")
        self.ratio_range = tuple(ratio_range)
        self.flip_ratio = flip_ratio
        self.pad_val = pad_val
        self.max_iters = max_iters
        self.bbox_clip_border = bbox_clip_border
        self.prob = prob

    def mix_with(self, dataset: Any) -> list[int]:
        """One sample, with instances if a few draws find one."""
        index = 0
        for _ in range(self.max_iters):
            index = int(np.random.randint(0, len(dataset)))
            if not hasattr(dataset, "get_data_info"):
                break
            if dataset.get_data_info(index).get("instances", True):
                break
        return [index]

    def transform(self, results: Results) -> Results:
        other = results.pop("mix_results")[0]
        if np.random.random() > self.prob or other is None:
            return results
        height, width = results["img"].shape[:2]
        other = self._scaled(other)
        if np.random.random() < self.flip_ratio:
            other = flip(other, "horizontal")
        tall, wide = max(height, other["img"].shape[0]), max(width, other["img"].shape[1])
        other = pad_to(other, tall, wide, self.pad_val, 255)
        top = int(np.random.randint(0, tall - height + 1))
        left = int(np.random.randint(0, wide - width + 1))
        other = objects_inside(cut(other, top, left, height, width), clip=self.bbox_clip_border)
        kind = results["img"].dtype
        mixed = 0.5 * results["img"].astype(np.float32) + 0.5 * other["img"].astype(np.float32)
        results.update(join_objects([results, other]), img=mixed.astype(kind))
        return results

    def _scaled(self, other: Results) -> Results:
        """The partner inside a canvas of ``img_scale``, then scaled by a draw."""
        wide, tall = self.img_scale
        height, width = fitted_inside(other["img"].shape[:2], tall, wide)
        other = resize_to(other, height, width, "bilinear", clip=False)
        other = pad_to(other, tall, wide, self.pad_val, 255)
        ratio = between(self.ratio_range)
        size = max(1, int(tall * ratio)), max(1, int(wide * ratio))
        return resize_to(other, *size, "bilinear", clip=False)

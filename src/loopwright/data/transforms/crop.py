"""Transforms that cut a window out of a sample, or put it on a larger canvas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loopwright.data.transforms.base import (
    BaseTransform,
    Results,
    between,
    keep_objects,
    objects_inside,
    pixels,
    size_pair,
)
from loopwright.data.transforms.resize import resize_to
from loopwright.registry import TRANSFORMS


def cut(results: Results, top: int, left: int, height: int, width: int) -> Results:
    """The window of a sample, boxes moved but not yet clipped."""
    window = (slice(top, top + height), slice(left, left + width))
    results["img"] = results["img"][window]
    results["img_shape"] = results["img"].shape[:2]
    if "gt_seg_map" in results:
        results["gt_seg_map"] = results["gt_seg_map"][window]
    if "gt_masks" in results:
        results["gt_masks"] = results["gt_masks"][:, window[0], window[1]]
    if "gt_bboxes" in results:
        results["gt_bboxes"] = results["gt_bboxes"] - np.array([left, top] * 2, np.float32)
    if "gt_keypoints" in results:
        points = results["gt_keypoints"].copy()
        points[..., :2] -= np.array([left, top], points.dtype)
        results["gt_keypoints"] = points
    return results


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """A random window of ``crop_size`` (height, width) pixels, or shares with crop_type 'relative'.

    With a label map a window is drawn again (ten times) while one class covers more than
    ``cat_max_ratio`` of it. A sample that had boxes and has none inside is left out (None) unless
    ``allow_negative_crop``.
    """

    def __init__(
        self,
        crop_size: Any,
        cat_max_ratio: float = 1.0,
        ignore_index: int = 255,
        crop_type: str = "absolute",
        allow_negative_crop: bool = False,
        recompute_bbox: bool = False,
        bbox_clip_border: bool = True,
    ) -> None:
        if crop_type not in ("absolute", "relative"):
            raise ValueError(f"crop_type is 'absolute' or 'relative', got {crop_type!r}")
        self.relative = crop_type == "relative"
        self.crop_size = crop_size if self.relative else size_pair(crop_size, "crop_size")
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index
        self.allow_negative_crop = allow_negative_crop
        self.recompute_bbox = recompute_bbox
        self.bbox_clip_border = bbox_clip_border

    def _window(self, height: int, width: int) -> tuple[int, int, int, int]:
        tall, wide = self.crop_size
        if self.relative:
            tall, wide = pixels(height * tall), pixels(width * wide)
        tall, wide = min(tall, height), min(wide, width)
        top = int(np.random.randint(0, height - tall + 1))
        left = int(np.random.randint(0, width - wide + 1))
        return top, left, tall, wide

    def _is_dull(self, results: Results, window: tuple[int, int, int, int]) -> bool:
        top, left, tall, wide = window
        labels = results["gt_seg_map"][top : top + tall, left : left + wide]
        counts = np.bincount(labels[labels != self.ignore_index].ravel().astype(np.int64))
        present = counts[counts > 0]
        return len(present) <= 1 or bool(present.max() / present.sum() >= self.cat_max_ratio)

    def transform(self, results: Results) -> Results | None:
        size = results["img"].shape[:2]
        window = self._window(*size)
        if self.cat_max_ratio < 1.0 and "gt_seg_map" in results:
            for _ in range(10):
                if not self._is_dull(results, window):
                    break
                window = self._window(*size)
        had = len(results.get("gt_bboxes", ()))
        results = objects_inside(cut(results, *window), clip=self.bbox_clip_border)
        if had and not len(results["gt_bboxes"]) and not self.allow_negative_crop:
            return None
        if self.recompute_bbox and "gt_masks" in results:
            _boxes_from_masks(results)
        return results


def _boxes_from_masks(results: Results) -> None:
    masks = results["gt_masks"]
    keep_objects(results, masks.any(axis=(1, 2)))
    boxes = np.zeros((len(results["gt_masks"]), 4), np.float32)
    for place, mask in enumerate(results["gt_masks"]):
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        boxes[place] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    results["gt_bboxes"] = boxes


@TRANSFORMS.register_module()
class CenterCrop(BaseTransform):
    """The middle window of ``crop_size`` (height, width), smaller where the image is."""

    def __init__(self, crop_size: Any, clip_object_border: bool = True, **_: Any) -> None:
        self.crop_size = size_pair(crop_size, "crop_size")
        self.clip_object_border = clip_object_border

    def transform(self, results: Results) -> Results:
        height, width = results["img"].shape[:2]
        tall, wide = min(self.crop_size[0], height), min(self.crop_size[1], width)
        top, left = (height - tall + 1) // 2, (width - wide + 1) // 2
        return objects_inside(cut(results, top, left, tall, wide), clip=self.clip_object_border)


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseTransform):
    """A window of random area and shape, resized to ``scale`` (Szegedy et al., CVPR 2015)."""

    def __init__(
        self,
        scale: Any,
        crop_ratio_range: Sequence[float] = (0.08, 1.0),
        aspect_ratio_range: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        max_attempts: int = 10,
        interpolation: str = "bilinear",
        backend: str | None = None,
    ) -> None:
        self.scale = size_pair(scale, "scale")
        self.crop_ratio_range = tuple(crop_ratio_range)
        self.aspect_ratio_range = tuple(aspect_ratio_range)
        self.max_attempts = max_attempts
        self.interpolation = interpolation

    def _window(self, height: int, width: int) -> tuple[int, int, int, int]:
        low, high = map(math.log, self.aspect_ratio_range)
        for _ in range(self.max_attempts):
            area = height * width * between(self.crop_ratio_range)
            shape = math.exp(np.random.uniform(low, high))
            wide, tall = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < wide <= width and 0 < tall <= height:
                top = int(np.random.randint(0, height - tall + 1))
                return top, int(np.random.randint(0, width - wide + 1)), tall, wide
        shape = min(max(width / height, self.aspect_ratio_range[0]), self.aspect_ratio_range[1])
        wide, tall = min(width, round(height * shape)), min(height, round(width / shape))
        return (height - tall) // 2, (width - wide) // 2, tall, wide

    def transform(self, results: Results) -> Results:
        results = objects_inside(cut(results, *self._window(*results["img"].shape[:2])))
        return resize_to(results, self.scale[1], self.scale[0], self.interpolation, clip=True)


@TRANSFORMS.register_module()
class Pad(BaseTransform):
    """Add space right and below: to ``size`` (width, height), a divisor, or a square."""

    def __init__(
        self,
        size: Any = None,
        size_divisor: int | None = None,
        pad_to_square: bool = False,
        pad_val: float | Mapping[str, Any] = 0,
        padding_mode: str = "constant",
    ) -> None:
        if size is None and size_divisor is None and not pad_to_square:
            raise ValueError("Pad takes size, size_divisor or pad_to_square")
        values = pad_val if isinstance(pad_val, Mapping) else {"img": pad_val}
        self.size = None if size is None else size_pair(size, "size")
        self.size_divisor = size_divisor
        self.pad_to_square = pad_to_square
        self.img_value = values.get("img", 0)
        self.seg_value = values.get("seg", 255)
        self.padding_mode = padding_mode

    def transform(self, results: Results) -> Results:
        height, width = results["img"].shape[:2]
        tall, wide = height, width
        if self.pad_to_square:
            tall = wide = max(height, width)
        if self.size is not None:
            tall, wide = max(tall, self.size[1]), max(wide, self.size[0])
        if self.size_divisor is not None:
            tall = -(-tall // self.size_divisor) * self.size_divisor
            wide = -(-wide // self.size_divisor) * self.size_divisor
        return pad_to(results, tall, wide, self.img_value, self.seg_value, mode=self.padding_mode)


def pad_to(
    results: Results, height: int, width: int, value: Any, label: Any, *, mode: str = "constant"
) -> Results:
    """A sample on a larger canvas, at the top left."""
    image = results["img"]
    down, right = height - image.shape[0], width - image.shape[1]
    edges = ((0, down), (0, right), *((0, 0),) * (image.ndim - 2))
    if mode != "constant":
        results["img"] = np.pad(image, edges, mode={"edge": "edge"}.get(mode, "reflect"))  # type: ignore[call-overload]
    else:
        canvas = np.empty((height, width, *image.shape[2:]), image.dtype)
        canvas[...] = np.asarray(value, image.dtype)
        canvas[: image.shape[0], : image.shape[1]] = image
        results["img"] = canvas
    if "gt_seg_map" in results:
        results["gt_seg_map"] = np.pad(results["gt_seg_map"], edges[:2], constant_values=label)
    if "gt_masks" in results:
        results["gt_masks"] = np.pad(results["gt_masks"], ((0, 0), *edges[:2]))
    results["img_shape"] = results["pad_shape"] = (height, width)
    return results

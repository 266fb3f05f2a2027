"""Reading images and annotations into a sample's dict."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.data.faults import DataError
from loopwright.data.preflight import MAX_PIXELS
from loopwright.data.transforms.base import BaseTransform, Results
from loopwright.registry import TRANSFORMS


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("reading images needs Pillow: pip install loopwright[vision]") from error
    return Image


def read_image(path: str | Path, color: str = "color", order: str = "rgb") -> np.ndarray:
    """An image as uint8 (H, W, 3), (H, W) for ``grayscale``, or as stored for ``unchanged``.

    Turned as its EXIF data says; palette, CMYK, alpha and 16 bits become plain 8-bit RGB. Raises
    DataError naming the file for one that is empty, broken, or of more than 179 million pixels.
    """
    from PIL import ImageOps

    image_of = _pillow()
    try:
        data = Path(path).read_bytes()
        if not data:
            raise DataError("the file is empty")
        with image_of.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(f"{opened.width} x {opened.height} pixels are more than allowed")
            opened.load()
            upright = ImageOps.exif_transpose(opened) or opened
            array = _array(upright, color)
    except (OSError, SyntaxError, ValueError, image_of.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {path}: {error}") from error
    if order != "bgr" or array.ndim < 3 or array.shape[2] < 3:
        return array
    return np.concatenate([array[..., 2::-1], array[..., 3:]], 2)  # alpha stays last


def _array(image: Any, color: str) -> np.ndarray:
    if color == "unchanged":
        return np.array(image)
    if image.mode.startswith("I"):
        deep = np.array(image).astype(np.int64)
        grey = (deep >> 8 if deep.max(initial=0) > 255 else deep).clip(0, 255).astype(np.uint8)
        return grey if color == "grayscale" else np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("L" if color == "grayscale" else "RGB"))


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Read ``img_path`` (or keep an ``img`` that is there) as ``img``, BGR by default."""

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "color",
        channel_order: str = "bgr",
        imdecode_backend: str | None = None,
        ignore_empty: bool = False,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value, known in (
            ("color_type", color_type, ("color", "grayscale", "unchanged")),
            ("channel_order", channel_order, ("bgr", "rgb")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        self.to_float32 = to_float32
        self.color_type = color_type
        self.channel_order = channel_order
        self.ignore_empty = ignore_empty

    def transform(self, results: Results) -> Results | None:
        if "img" not in results:
            try:
                results["img"] = read_image(
                    results["img_path"], self.color_type, self.channel_order
                )
            except DataError:
                if self.ignore_empty:
                    return None
                raise
        if self.to_float32:
            results["img"] = results["img"].astype(np.float32)
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return results


TRANSFORMS.register_module(name="LoadImageFromNDArray", module=LoadImageFromFile)


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Boxes, labels, masks, keypoints and the label map of ``instances`` and ``seg_map_path``.

    An instance has ``bbox`` (xyxy), ``bbox_label``, ``ignore_flag``, ``mask`` (polygons, or what
    numpy makes an (H, W) array of) and ``keypoints`` (x, y, visibility, x, …), which become float32
    (n, K, 3), 0 where there are none; one without a mask is ignored where masks are asked for.
    ``reduce_zero_label`` makes class 0 the ignored 255 and moves the rest down.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = False,
        with_seg: bool = False,
        reduce_zero_label: bool | None = None,
        poly2mask: bool = True,
        imdecode_backend: str | None = None,
        backend_args: Mapping[str, Any] | None = None,
        box_type: str = "hbox",
        with_keypoints: bool = False,
    ) -> None:
        self.with_keypoints = with_keypoints
        self.with_bbox = with_bbox
        self.with_label = with_label
        self.with_mask = with_mask
        self.with_seg = with_seg
        self.reduce_zero_label = reduce_zero_label

    def transform(self, results: Results) -> Results:
        instances = results.get("instances")
        if instances is not None:
            self._objects(results, instances)
        if self.with_seg or (instances is None and "seg_map_path" in results):
            results["gt_seg_map"] = self._label_map(results)
        return results

    def _objects(self, results: Results, instances: list[Any]) -> None:
        count = len(instances)
        if self.with_bbox:
            boxes = [instance["bbox"] for instance in instances]
            results["gt_bboxes"] = np.array(boxes, np.float32).reshape(count, 4)
            ignored = [bool(instance.get("ignore_flag", 0)) for instance in instances]
            results["gt_ignore_flags"] = np.array(ignored, bool)
        if self.with_label:
            labels = [instance["bbox_label"] for instance in instances]
            results["gt_bboxes_labels"] = np.array(labels, np.int64)
        if self.with_keypoints:
            results["gt_keypoints"] = keypoints_of([one.get("keypoints", ()) for one in instances])
        if self.with_mask:
            height, width = results["img_shape"]
            masks = [mask_of(instance.get("mask", []), height, width) for instance in instances]
            results["gt_masks"] = (
                np.stack(masks) if masks else np.zeros((0, height, width), np.uint8)
            )
            if "gt_ignore_flags" in results:
                without = np.array(["mask" not in instance for instance in instances], bool)
                results["gt_ignore_flags"] |= without

    def _label_map(self, results: Results) -> np.ndarray:
        found = results.get("gt_seg_map")
        if found is None:
            found = read_image(results["seg_map_path"], "unchanged")
        labels = np.array(found)
        if results.get("label_map"):
            original = labels.copy()
            for old, new in results["label_map"].items():
                labels[original == old] = new
        reduce = self.reduce_zero_label
        if results.get("reduce_zero_label") if reduce is None else reduce:
            labels = np.where(labels == 0, 255, labels - 1)
            labels[labels == 254] = 255
        return labels


def keypoints_of(of_objects: Sequence[Sequence[float]]) -> np.ndarray:
    """Keypoints (n, K, 3) of objects that may have fewer than K, as COCO writes them.

    >>> keypoints_of([[5, 6, 2], []]).tolist()
    [[[5.0, 6.0, 2.0]], [[0.0, 0.0, 0.0]]]
    """
    for numbers in of_objects:
        if len(numbers) % 3:
            raise DataError(f"keypoints are x, y, visibility, x, …; got {len(numbers)} numbers")
    most = max((len(numbers) // 3 for numbers in of_objects), default=0)
    table = np.zeros((len(of_objects), most, 3), np.float32)
    for row, numbers in zip(table, of_objects):
        row[: len(numbers) // 3] = np.reshape(numbers, (-1, 3))
    return table


def mask_of(mask: Any, height: int, width: int) -> np.ndarray:
    """A uint8 mask (H, W) from polygons ``[[x, y, x, y, ...], ...]``, or from one for numpy."""
    if hasattr(mask, "__array__"):
        drawn = np.asarray(mask, np.uint8)
        if drawn.shape != (height, width):
            raise DataError(f"a mask of {drawn.shape} in an image of {(height, width)}")
        return drawn
    if not isinstance(mask, list | tuple):
        raise DataError(f"a mask is an array or a list of polygons, got {type(mask).__name__}")
    from PIL import ImageDraw

    canvas = _pillow().new("L", (width, height), 0)
    for polygon in mask:
        ImageDraw.Draw(canvas).polygon(list(map(float, np.ravel(polygon))), outline=1, fill=1)
    return np.array(canvas)

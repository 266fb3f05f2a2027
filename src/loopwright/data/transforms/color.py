"""Transforms of colours alone. Images are (H, W, 3), BGR as ``LoadImageFromFile`` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.data.transforms.base import BaseTransform, Results, between
from loopwright.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Normalize(BaseTransform):
    """``(img - mean) / std`` a channel, after BGR became RGB with ``to_rgb``."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> None:
        self.mean = np.array(mean, np.float32)
        self.std = np.array(std, np.float32)
        self.to_rgb = to_rgb

    def transform(self, results: Results) -> Results:
        image = results["img"].astype(np.float32)
        if self.to_rgb and image.ndim == 3:
            image = image[..., ::-1]
        results["img"] = (image - self.mean) / self.std
        return results


def to_hsv(image: np.ndarray) -> np.ndarray:
    """BGR in [0, 1] to hue in [0, 6), saturation and value in [0, 1]; float32 (H, W, 3).

    >>> to_hsv(np.array([[[0.0, 0.0, 1.0]]], np.float32)).tolist()
    [[[0.0, 1.0, 1.0]]]
    """
    blue, green, red = np.moveaxis(image, -1, 0)
    value = image.max(axis=-1)
    spread = value - image.min(axis=-1)
    safe = np.where(spread > 0, spread, 1)
    hue = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    saturation = np.where(value > 0, spread / np.where(value > 0, value, 1), 0)
    hue = np.where(spread > 0, np.mod(hue, 6), 0)
    return np.stack([hue, saturation, value], axis=-1).astype(np.float32)


def from_hsv(hsv: np.ndarray) -> np.ndarray:
    """The inverse of ``to_hsv``.

    >>> from_hsv(to_hsv(np.array([[[0.0, 0.5, 1.0]]], np.float32))).tolist()
    [[[0.0, 0.5, 1.0]]]
    """
    hue, saturation, value = np.moveaxis(hsv, -1, 0)

    def channel(shift: int) -> np.ndarray:
        turn = np.mod(shift + hue, 6)
        return value - value * saturation * np.clip(np.minimum(turn, 4 - turn), 0, 1)

    return np.stack([channel(1), channel(3), channel(5)], axis=-1).astype(np.float32)


@TRANSFORMS.register_module()
class PhotoMetricDistortion(BaseTransform):
    """Brightness, contrast, saturation and hue, each with one chance in two (Liu et al., SSD).

    Contrast comes before or after the other colours by a further draw; ``brightness_delta`` is in
    0..255, ``hue_delta`` in 0..180.
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: float = 18,
    ) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_range = tuple(contrast_range)
        self.saturation_range = tuple(saturation_range)
        self.hue_delta = hue_delta

    def transform(self, results: Results) -> Results:
        image = results["img"]
        kind = image.dtype
        # all draws first, so that their number never depends on their outcome
        chances = np.random.randint(2, size=6)
        brightness = np.random.uniform(-self.brightness_delta, self.brightness_delta)
        contrast = between(self.contrast_range)
        saturation = between(self.saturation_range)
        hue = np.random.uniform(-self.hue_delta, self.hue_delta)
        shown = image.astype(np.float32)
        if chances[0]:
            shown = shown + np.float32(brightness)
        if chances[1] and chances[2]:
            shown = shown * np.float32(contrast)
        if chances[3] or chances[4]:
            shown = _colours(shown, saturation if chances[3] else 1.0, hue if chances[4] else 0.0)
        if chances[1] and not chances[2]:
            shown = shown * np.float32(contrast)
        if chances[5]:
            shown = shown[..., np.random.permutation(3)]
        results["img"] = np.clip(np.rint(shown), 0, 255).astype(kind) if kind == np.uint8 else shown
        return results


def _colours(image: np.ndarray, saturation: float, hue: float) -> np.ndarray:
    hsv = to_hsv(np.clip(image, 0, 255) / np.float32(255))
    hsv[..., 0] = np.mod(hsv[..., 0] + hue / 30, 6)
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 1)
    return from_hsv(hsv) * np.float32(255)


@TRANSFORMS.register_module()
class YOLOXHSVRandomAug(BaseTransform):
    """Add a draw from ±delta to hue (0..180), saturation and value (0..255) of a uint8 image."""

    def __init__(
        self, hue_delta: float = 5, saturation_delta: float = 30, value_delta: float = 30
    ) -> None:
        self.deltas = (hue_delta, saturation_delta, value_delta)

    def transform(self, results: Results) -> Results:
        gains = np.random.uniform(-1, 1, 3) * self.deltas * np.random.randint(0, 2, 3)
        hsv = to_hsv(results["img"].astype(np.float32) / np.float32(255))
        hsv[..., 0] = np.mod(hsv[..., 0] + gains[0] / 30, 6)
        hsv[..., 1:] = np.clip(hsv[..., 1:] + gains[1:] / 255, 0, 1)
        results["img"] = np.rint(from_hsv(hsv) * 255).astype(results["img"].dtype)
        return results


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Scale brightness, contrast and saturation by draws from 1 ± the given share."""

    def __init__(
        self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, **_: Any
    ) -> None:
        self.shares = (brightness, contrast, saturation)

    def transform(self, results: Results) -> Results:
        image = results["img"]
        bright, contrast, saturation = (
            np.random.uniform(max(0, 1 - s), 1 + s) for s in self.shares
        )
        shown = image.astype(np.float32) * np.float32(bright)
        grey = shown @ np.array([0.114, 0.587, 0.299], np.float32)
        shown = grey.mean() + (shown - grey.mean()) * np.float32(contrast)
        grey = shown @ np.array([0.114, 0.587, 0.299], np.float32)
        shown = grey[..., None] + (shown - grey[..., None]) * np.float32(saturation)
        kind = image.dtype
        results["img"] = np.clip(np.rint(shown), 0, 255).astype(kind) if kind == np.uint8 else shown
        return results

"""Transforms of images and what is annotated on them, under OpenMMLab's names."""

from loopwright.data.transforms import choose, color, crop, flip, load, mix, outside, pack, resize
from loopwright.data.transforms.base import BaseTransform

__all__ = [
    "BaseTransform",
    "choose",
    "color",
    "crop",
    "flip",
    "load",
    "mix",
    "outside",
    "pack",
    "resize",
]

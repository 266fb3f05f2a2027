"""Small vision models of our own, and thin wrappers of others' by name."""

from loopwright.vision.models import (
    classifier,
    cspnext,
    detector,
    libraries,
    resnet,
    segmentor,
    selfsup,
    vit,
)

__all__ = [
    "classifier",
    "cspnext",
    "detector",
    "libraries",
    "resnet",
    "segmentor",
    "selfsup",
    "vit",
]

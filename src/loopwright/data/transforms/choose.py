"""Transforms that decide whether or which others are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.data.compose import Compose
from loopwright.data.transforms.base import BaseTransform, Results
from loopwright.registry import TRANSFORMS


def _row(transforms: Any) -> Compose:
    return Compose(transforms if isinstance(transforms, list | tuple) else [transforms])


@TRANSFORMS.register_module()
class RandomApply(BaseTransform):
    """Some transforms, all or none, with probability ``prob``."""

    def __init__(self, transforms: Any, prob: float = 0.5) -> None:
        self.transforms = _row(transforms)
        self.prob = prob

    def transform(self, results: Results) -> Any:
        return self.transforms(results) if np.random.random() < self.prob else results


@TRANSFORMS.register_module()
class RandomChoice(BaseTransform):
    """One of several rows of transforms, evenly or with probabilities ``prob``."""

    def __init__(self, transforms: Sequence[Any], prob: Sequence[float] | None = None) -> None:
        self.rows = [_row(row) for row in transforms]
        self.prob = prob

    def transform(self, results: Results) -> Any:
        return self.rows[int(np.random.choice(len(self.rows), p=self.prob))](results)

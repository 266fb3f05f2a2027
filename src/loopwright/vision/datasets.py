"""The embedded datasets by config name: digits to classify, segment or detect, or unlabelled.

Each is deterministic but for ``augment=True`` and views, which draw from torch's global generator,
as the loader seeds it for every sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from loopwright.registry import DATASETS
from loopwright.vision import digits, views
from loopwright.vision.boxes import check_budget, repair
from loopwright.vision.plant import plant
from loopwright.vision.policy import Policy, policy_of

_COUNTS = {"train": 400, "val": 100, "test": 100}


@DATASETS.register_module()
class DigitsClassification:
    """Digits and what they are: ``inputs`` (1, size, size) in [0, 1], ``data_samples`` a label.

    ``labels_per_class`` keeps the first few of each class; ``augment`` shifts by up to one part
    in eight.
    """

    metainfo = {"classes": digits.CLASSES, "dataset_type": "digits"}

    def __init__(
        self,
        split: str = "train",
        *,
        size: int = 8,
        augment: bool = False,
        labels_per_class: int | None = None,
    ) -> None:
        images, labels = digits.digits_of(split)
        if labels_per_class is not None:
            kept = first_of_each(labels, labels_per_class)
            images, labels = images[kept], labels[kept]
        self.inputs = digits.resize(torch.from_numpy(images), size)[:, None].contiguous()
        self.labels = torch.from_numpy(labels)
        self.augment = augment
        self.deterministic = not augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image = self.inputs[index]
        if self.augment:
            image = views.shift(image, image.shape[-1] // 8)
        return {"inputs": image, "data_samples": self.labels[index]}

    def get_cat_ids(self, index: int) -> list[int]:
        return [int(self.labels[index])]


def first_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Where the first ``count`` of each class are, in order.

    >>> first_of_each(np.array([0, 0, 1, 0, 1]), 1)
    array([0, 2])
    """
    return np.sort(np.concatenate([np.nonzero(labels == c)[0][:count] for c in np.unique(labels)]))


@DATASETS.register_module()
class DigitScenes:
    """Canvases with one to ``most`` digits, for segmentation or detection.

    Segmentation gives ``data_samples`` (size, size) of 0 (background) or digit + 1 (or, with
    ``ink``, 1 for every digit); detection a dict of ``boxes`` (k, 4) xyxy in pixels, ``labels``
    (k,) and ``ignore`` (k,). ``side`` is how large digits are, as shares of ``size``. ``planted``
    spoils or adds boxes, an exact number a cause (see ``loopwright.vision.plant``); ``policy``
    repairs them (see ``loopwright.vision.policy``), and ``findings`` is then cause, action and
    count.
    """

    def __init__(
        self,
        split: str = "train",
        task: str = "segmentation",
        *,
        size: int = 64,
        count: int | None = None,
        most: int = 4,
        side: tuple[float, float] = (0.25, 0.4),
        seed: int = 0,
        ink: bool = False,
        augment: bool = False,
        planted: Mapping[str, int] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> None:
        if task not in ("segmentation", "detection"):
            raise ValueError(f"task must be 'segmentation' or 'detection', got {task!r}")
        count = _COUNTS[split] if count is None else count
        self.task, self.size, self.ink, self.augment = task, size, ink, augment
        self.deterministic = not augment
        self.scenes = [
            digits.scene(split, index, size=size, most=most, side=side, seed=seed)
            for index in range(count)
        ]
        self.boxes = [scene.boxes for scene in self.scenes]
        self.labels = [scene.labels for scene in self.scenes]
        if planted:
            self.boxes, self.labels = plant(
                self.boxes, self.labels, size=(size, size), counts=planted, seed=seed
            )
        self.findings: dict[str, dict[str, int]] = {}
        if policy is not None:
            self._repair(policy_of(policy))

    def _repair(self, policy: Policy) -> None:
        """Repair all boxes at once. AnnotationError if the budget is overdrawn."""
        image = np.repeat(np.arange(len(self.boxes)), [len(boxes) for boxes in self.boxes])
        labels = np.concatenate(self.labels)
        side = (self.size, self.size)
        done = repair(np.concatenate(self.boxes), side, policy, labels=labels, image=image)
        check_budget(done.findings, policy)
        self.findings = done.findings.table()
        of_image, kept = image[done.index], labels[done.index]
        places = range(len(self.boxes))
        self.boxes = [done.boxes[of_image == place].astype(np.float32) for place in places]
        self.labels = [kept[of_image == place] for place in places]

    @property
    def metainfo(self) -> dict[str, Any]:
        if self.task == "detection":
            return {"classes": digits.CLASSES, "palette": digits.PALETTE}
        if self.ink:
            return {"classes": ("background", "digit"), "palette": ((0, 0, 0), digits.PALETTE[0])}
        return {
            "classes": ("background", *digits.CLASSES),
            "palette": ((0, 0, 0), *digits.PALETTE),
        }

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.from_numpy(self.scenes[index].image)[None]
        if self.task == "segmentation":
            mask = torch.from_numpy(self.scenes[index].mask).long()
            mask = mask.clamp(max=1) if self.ink else mask
            if self.augment:
                image, mask = views.shift_with_mask(image, mask, self.size // 8)
            return {"inputs": image, "data_samples": mask}
        boxes = torch.from_numpy(self.boxes[index])
        labels = torch.from_numpy(self.labels[index])
        if self.augment:
            image, boxes = views.shift_with_boxes(image, boxes, self.size // 8)
        ignore = torch.zeros(len(labels), dtype=torch.bool)
        return {
            "inputs": image,
            "data_samples": {"boxes": boxes, "labels": labels, "ignore": ignore},
        }

    def get_cat_ids(self, index: int) -> list[int]:
        return [int(label) for label in self.labels[index]]


@DATASETS.register_module()
class DigitsUnlabelled:
    """Digits without labels: ``inputs`` (1, size, size), or a list of ``views`` random views."""

    metainfo = {"dataset_type": "digits without labels"}

    def __init__(
        self, split: str = "train", *, size: int = 16, views: int = 1, augment: bool = True
    ) -> None:
        if views < 1:
            raise ValueError(f"views must be at least 1, got {views}")
        images, _ = digits.digits_of(split)
        self.inputs = digits.resize(torch.from_numpy(images), size)[:, None].contiguous()
        self.views = views
        self.augment = augment
        self.deterministic = not augment

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = self.inputs[index]
        if self.views == 1:
            shown = views.shift(image, image.shape[-1] // 8) if self.augment else image
            return {"inputs": shown}
        return {"inputs": [self._view(image) for _ in range(self.views)]}

    def _view(self, image: torch.Tensor) -> torch.Tensor:
        return views.random_view(image) if self.augment else image

"""The end of a pipeline: from a sample's dict to tensors a model takes, in plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from loopwright.data.transforms.base import BaseTransform, Results
from loopwright.registry import TRANSFORMS


def image_tensor(image: Any) -> torch.Tensor:
    """(H, W), (H, W, C) or a tensor as a contiguous tensor (C, H, W).

    >>> image_tensor(np.zeros((2, 3, 1), np.uint8)).shape
    torch.Size([1, 2, 3])
    """
    if isinstance(image, torch.Tensor):
        return image
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(array))


class _Pack(BaseTransform):
    """``dict(inputs=image (C, H, W), data_samples=truth)``, with ``metainfo`` if keys are named."""

    truth_name = "gt"

    def __init__(self, meta_keys: Sequence[str] = (), **_: Any) -> None:
        self.meta_keys = tuple(meta_keys)

    def truth(self, results: Results) -> Any:
        """What a model learns of a sample, or None where there is nothing."""
        raise NotImplementedError

    def transform(self, results: Results) -> Results:
        packed: Results = {"inputs": image_tensor(results["img"])}
        truth = self.truth(results)
        if self.meta_keys:
            known = {key: results[key] for key in self.meta_keys if key in results}
            fields = truth if isinstance(truth, dict) else {self.truth_name: truth}
            packed["data_samples"] = {
                **{key: value for key, value in fields.items() if value is not None},
                "metainfo": known,
            }
        elif truth is not None:
            packed["data_samples"] = truth
        return packed


@TRANSFORMS.register_module(name=["PackInputs", "PackClsInputs"])
class PackInputs(_Pack):
    """For classification: the truth is the label, an int64 tensor."""

    truth_name = "gt_label"

    def truth(self, results: Results) -> Any:
        label = results.get("gt_label")
        return None if label is None else torch.as_tensor(label, dtype=torch.int64)


@TRANSFORMS.register_module()
class PackSegInputs(_Pack):
    """For segmentation: the truth is the label map, int64 (H, W)."""

    truth_name = "gt_sem_seg"

    def truth(self, results: Results) -> Any:
        labels = results.get("gt_seg_map")
        return None if labels is None else torch.from_numpy(np.array(labels, np.int64))


@TRANSFORMS.register_module()
class PackDetInputs(_Pack):
    """For detection: ``boxes`` (k, 4) xyxy, ``labels`` (k,), ``ignore`` (k,).

    ``masks`` (k, H, W) and ``keypoints`` (k, K, 3) where the sample has them.
    """

    def truth(self, results: Results) -> Any:
        boxes = np.asarray(results.get("gt_bboxes", np.zeros((0, 4))), np.float32)
        count = len(boxes)
        fields: dict[str, Any] = {
            "boxes": torch.from_numpy(boxes.copy()),
            "labels": _tensor(results, "gt_bboxes_labels", np.zeros(count, np.int64)),
            "ignore": _tensor(results, "gt_ignore_flags", np.zeros(count, bool)),
        }
        for name in ("masks", "keypoints"):
            if f"gt_{name}" in results:
                fields[name] = _tensor(results, f"gt_{name}", None)
        return fields


def _tensor(results: Results, key: str, default: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(results.get(key, default)))


@TRANSFORMS.register_module()
class ImageToTensor(BaseTransform):
    """Make images (C, H, W) tensors in place."""

    def __init__(self, keys: Sequence[str] = ("img",)) -> None:
        self.keys = tuple(keys)

    def transform(self, results: Results) -> Results:
        for key in self.keys:
            results[key] = image_tensor(results[key])
        return results


@TRANSFORMS.register_module()
class Collect(BaseTransform):
    """Keep some keys only."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)

    def transform(self, results: Results) -> Results:
        return {key: results[key] for key in self.keys}

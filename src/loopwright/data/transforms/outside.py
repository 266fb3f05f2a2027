"""Transforms of torchvision and albumentations, by name in a config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from loopwright.core.nearest import did_you_mean
from loopwright.data.faults import DataError
from loopwright.data.transforms.base import BaseTransform, Results, keep_objects, objects_inside
from loopwright.data.transforms.pack import image_tensor
from loopwright.registry import TRANSFORMS


def _v2() -> Any:
    try:
        from torchvision.transforms import v2
    except Exception as error:
        # not only ImportError: a build for another torch fails while it registers its operators
        raise ImportError(
            f"TorchVision/... needs a torchvision that loads here: {error}"
        ) from error
    return v2


class TorchVision(BaseTransform):
    """``type="TorchVision/Name"``: a transform of torchvision.transforms.v2 on ``img``.

    It is given the image as an RGB tensor (C, H, W), with boxes, masks and label map as tv_tensors;
    what came as an array goes on as an array, BGR again.
    """

    def __init__(self, name: str, **arguments: Any) -> None:
        module = _v2()
        if not hasattr(module, name):
            hint = did_you_mean(name, dir(module))
            raise DataError(f"TorchVision/{name}: torchvision.transforms.v2 has no {name!r}{hint}")
        self.name = name
        self.inner = getattr(module, name)(**arguments)

    def transform(self, results: Results) -> Results:
        from torchvision import tv_tensors

        image = results["img"]
        was_array = isinstance(image, np.ndarray) and image.ndim == 3
        if was_array:
            image = image_tensor(image[..., ::-1])
        given: Results = {"img": tv_tensors.Image(image_tensor(image))}
        size = tuple(given["img"].shape[-2:])
        if "gt_bboxes" in results:
            given["gt_bboxes"] = tv_tensors.BoundingBoxes(
                results["gt_bboxes"], format="XYXY", canvas_size=size
            )
        for key in ("gt_masks", "gt_seg_map"):
            if key in results:
                given[key] = tv_tensors.Mask(results[key])
        taken = self.inner(given)
        results.update({key: np.asarray(taken[key]) for key in taken if key != "img"})
        shown = taken["img"].as_subclass(torch.Tensor)
        results["img"] = shown.permute(1, 2, 0).numpy()[..., ::-1] if was_array else shown
        results["img_shape"] = tuple(shown.shape[-2:])
        return objects_inside(results)


@TRANSFORMS.register_module(name=["Albu", "Albumentation", "Albumentations"])
class Albu(BaseTransform):
    """A list of albumentations, each ``dict(type=its name, ...)``, on image, boxes and masks.

    albumentations draws from generators of its own; they are seeded for each sample from numpy's.
    """

    def __init__(self, transforms: Sequence[dict[str, Any]], **_: Any) -> None:
        try:
            import albumentations
        except Exception as error:
            raise ImportError(
                f"Albu needs albumentations (pip install albumentations): {error}"
            ) from error
        made = [_albu(albumentations, cfg) for cfg in transforms]
        boxes = albumentations.BboxParams(format="pascal_voc", label_fields=["rows"])
        self.inner = albumentations.Compose(made, bbox_params=boxes)

    def transform(self, results: Results) -> Results:
        boxes = results.get("gt_bboxes", np.zeros((0, 4), np.float32))
        given: Results = {"image": results["img"], "bboxes": boxes, "rows": np.arange(len(boxes))}
        if "gt_seg_map" in results:
            given["mask"] = results["gt_seg_map"]
        if len(results.get("gt_masks", ())):
            given["masks"] = list(results["gt_masks"])
        if hasattr(self.inner, "set_random_seed"):
            self.inner.set_random_seed(int(np.random.randint(0, 2**31)))
        taken = self.inner(**given)
        rows = np.asarray(taken["rows"], np.int64)
        if "masks" in taken:
            results["gt_masks"] = np.stack(list(taken["masks"]))
        if "gt_bboxes" in results:
            keep_objects(results, rows)
            results["gt_bboxes"] = np.array(taken["bboxes"], np.float32).reshape(-1, 4)
        if "mask" in taken:
            results["gt_seg_map"] = taken["mask"]
        results["img"] = taken["image"]
        results["img_shape"] = taken["image"].shape[:2]
        return results


def _albu(library: Any, cfg: dict[str, Any]) -> Any:
    arguments = {key: value for key, value in cfg.items() if key != "type"}
    if isinstance(arguments.get("transforms"), list | tuple):
        arguments["transforms"] = [_albu(library, inner) for inner in arguments["transforms"]]
    found = getattr(library, str(cfg["type"]), None)
    if found is None:
        hint = did_you_mean(cfg["type"], dir(library))
        raise DataError(f"albumentations has no {cfg['type']!r}{hint}")
    return found(**arguments)

"""Visualization hooks: the prediction beside the truth, into the run folder and the storage."""

from __future__ import annotations

import os
from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.log.drawing import Drawing
from loopwright.registry import HOOKS
from loopwright.vision.draw import Picture, draw_det, draw_seg, save

_MASKS = ("pred_sem_seg", "gt_sem_seg", "sem_seg", "mask")
_BOXES = ("pred_instances", "gt_instances")


class _VisualizationHook(Hook):
    """Draws every ``interval``-th batch of validation and test when ``draw`` is on.

    ``show`` also opens a window for ``wait_time`` seconds (0: until it is closed by the user).
    """

    priority = "NORMAL"

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f"{type(self).__name__}.interval must be at least 1, got {interval}")
        self.draw = draw or show
        self.interval = interval
        self.show = show
        self.wait_time = wait_time
        self.backend_args = backend_args

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        if (
            not self.draw
            or mode == "train"
            or not self.every_n_inner_iters(batch_idx, self.interval)
        ):
            return
        loop = runner.val_loop if mode == "val" else runner.test_loop
        metainfo = getattr(loop.dataloader.dataset, "metainfo", None) or {}
        of = "_".join(filter(None, (mode, getattr(getattr(loop, "current", None), "name", ""))))
        for number, (image, truth, found) in enumerate(triples(data_batch, outputs)):
            picture = self.picture(image, truth, found, metainfo)
            name = f"{of}_{runner.iter}_{batch_idx}_{number}.png"
            save(picture, os.path.join(runner.work_dir, "vis_image", name))
            runner.storage.put_image(f"{of}/{batch_idx}_{number}", picture.transpose(2, 0, 1))
            if self.show:
                Drawing().show(picture, name, self.wait_time)

    def picture(self, image: Any, truth: Any, found: Any, metainfo: Any) -> Picture:
        """The truth and what was found, as one (H, W, 3) uint8 picture."""
        raise NotImplementedError


@HOOKS.register_module()
class SegVisualizationHook(_VisualizationHook):
    """Draws masks over the image: the prediction beside the ground truth."""

    def picture(self, image: Any, truth: Any, found: Any, metainfo: Any) -> Picture:
        classes, palette = metainfo.get("classes", ()), metainfo.get("palette")
        return draw_seg(image, _mask(truth), _mask(found), classes, palette)


@HOOKS.register_module()
class DetVisualizationHook(_VisualizationHook):
    """Draws boxes on the image: the prediction beside the ground truth."""

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        score_thr: float = 0.3,
        show: bool = False,
        wait_time: float = 0.0,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(draw, interval, show, wait_time, backend_args)
        self.score_thr = score_thr

    def picture(self, image: Any, truth: Any, found: Any, metainfo: Any) -> Picture:
        classes, palette = metainfo.get("classes", ()), metainfo.get("palette")
        return draw_det(
            image, _boxes(truth), _boxes(found), classes, palette, score_thr=self.score_thr
        )


def triples(data_batch: Any, outputs: Any) -> list[tuple[Any, Any, Any]]:
    """(image, truth, prediction) of every sample of a batch.

    A batch is ``dict(inputs=, data_samples=)`` or a pair; truths and predictions are lists, or
    tensors or dicts of tensors whose first dimension is the sample.
    """
    if isinstance(data_batch, dict):
        images, truths = data_batch["inputs"], data_batch.get("data_samples")
    else:
        images, truths = data_batch[0], data_batch[1]
    images = list(images)
    truths, found = (_one_by_one(value, len(images)) for value in (truths, outputs))
    return list(zip(images, truths, found, strict=True))


def _one_by_one(value: Any, count: int) -> list[Any]:
    if value is None:
        return [None] * count
    if isinstance(value, dict):
        columns = {key: _one_by_one(column, count) for key, column in value.items()}
        return [{key: column[i] for key, column in columns.items()} for i in range(count)]
    return list(value)


def _get(sample: Any, key: str) -> Any:
    return sample.get(key) if hasattr(sample, "get") else getattr(sample, key, None)


def _mask(sample: Any) -> Any:
    """The mask of a sample: itself, or under one of the usual names; (H, W) of class numbers."""
    if sample is None or hasattr(sample, "shape"):
        return sample
    for key in _MASKS:
        found = _get(sample, key)
        if found is not None:
            found = _get(found, "data") if not hasattr(found, "shape") else found
            return found[0] if found.ndim == 3 else found
    return None


def _boxes(sample: Any) -> dict[str, Any] | None:
    """``boxes``, ``labels`` and maybe ``scores`` of a sample, or of the instances in it."""
    if sample is None:
        return None
    for key in _BOXES:
        inner = _get(sample, key)
        if inner is not None:
            sample = inner
    found = {name: _get(sample, name) for name in ("boxes", "bboxes", "labels", "scores")}
    boxes = found.pop("bboxes") if found["boxes"] is None else found.pop("boxes")
    found.pop("bboxes", None)
    return {"boxes": boxes, **{k: v for k, v in found.items() if v is not None}}

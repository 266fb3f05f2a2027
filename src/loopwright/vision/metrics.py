"""Detection metrics by config name, from COCO's evaluators where installed, else from our own."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from loopwright.evaluation.metric import BaseMetric
from loopwright.evaluation.segmentation import table
from loopwright.registry import METRICS
from loopwright.vision.average_precision import Detections, Truth, detections, summary, truth_of

_LOGGER = logging.getLogger("loopwright.evaluation")
BACKENDS = ("auto", "own", "faster-coco-eval", "pycocotools")
_MODULES = {"faster-coco-eval": "faster_coco_eval", "pycocotools": "pycocotools"}
_PREDICTED = ("pred_instances", "pred", "prediction")
_TRUE = ("gt_instances", "gt", "truth")
_OTHER_NAMES = {"boxes": "bboxes"}


@METRICS.register_module(name=["CocoMetric", "BoxAP"])
class CocoMetric(BaseMetric):
    """``bbox_mAP``, ``bbox_mAP_50``, ``_75``, ``_s``, ``_m``, ``_l`` and ``bbox_AR@100``.

    A predicted sample has ``boxes`` (k, 4) xyxy, ``scores`` and ``labels``, itself or under
    ``pred_instances``; the truth has ``boxes``, ``labels`` and maybe ``ignore`` and ``area``,
    under ``gt`` or ``gt_instances`` of the sample, else in the batch's ``data_samples``.
    ``backend`` 'auto' takes faster-coco-eval or pycocotools where installed; all give the same
    figures. ``classwise`` adds one figure a class; a table of them is logged anyway.
    """

    default_prefix = "coco"

    def __init__(
        self,
        *,
        backend: str = "auto",
        classwise: bool = False,
        num_classes: int | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        **_: Any,
    ) -> None:
        super().__init__(collect_device, prefix)
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
        self.backend, self.classwise, self.num_classes = backend, classwise, num_classes

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep boxes of each sample as tensors."""
        for number, sample in enumerate(data_samples):
            found = _part(sample, _PREDICTED) or sample
            truth = _part(sample, _TRUE) or _from_batch(data_batch, number)
            self.results.append(
                {
                    "found": _tensors(found, ("boxes", "scores", "labels")),
                    "truth": _tensors(truth, ("boxes", "labels"), ("ignore", "area")),
                }
            )

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Evaluate all images; logs the table by class."""
        found = [detections(_arrays(r["found"])) for r in results]
        truth = [truth_of(_arrays(r["truth"])) for r in results]
        names = self._names(truth)
        figures = _EVALUATORS[_chosen(self.backend)](found, truth, len(names))
        by_class = figures.pop("by_class")
        metrics = {f"bbox_{name}": value for name, value in figures.items()}
        columns = {"mAP": torch.tensor(by_class[:, 0]), "mAP_50": torch.tensor(by_class[:, 1])}
        rows = table(names, {key: 100 * column for key, column in columns.items()})
        _LOGGER.info("by class:\n%s", rows)
        if self.classwise:
            metrics |= {f"bbox_mAP/{n}": float(v) for n, v in zip(names, by_class[:, 0])}
        return metrics

    def _names(self, truth: Sequence[Truth]) -> list[str]:
        classes = (self.dataset_meta or {}).get("classes")
        if classes:
            return [str(name) for name in classes]
        most = max((int(t.labels.max(initial=-1)) for t in truth), default=-1) + 1
        return [str(number) for number in range(self.num_classes or most)]


def _part(sample: Any, names: Sequence[str]) -> Any:
    return next((sample[name] for name in names if sample.get(name) is not None), None)


def _from_batch(batch: Any, number: int) -> Any:
    """The truth of a batch's sample: a dict of lists, or a list of dicts."""
    held = batch.get("data_samples") if isinstance(batch, Mapping) else None
    if isinstance(held, Mapping):
        return {key: column[number] for key, column in held.items()}
    if held is None:
        raise KeyError("CocoMetric found no truth, neither in the predictions nor in the batch")
    return _part(held[number], _TRUE) or held[number]


def _tensors(
    fields: Any, needed: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, torch.Tensor]:
    kept = {}
    for name in (*needed, *optional):
        value = fields.get(name, fields.get(_OTHER_NAMES.get(name, name)))
        if value is not None:
            kept[name] = torch.as_tensor(value).detach().cpu()
        elif name in needed:
            raise KeyError(f"CocoMetric needs {name!r}, got {', '.join(map(str, fields))}")
    return kept


def _arrays(fields: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {name: value.numpy() for name, value in fields.items()}


def _chosen(backend: str) -> str:
    """The first evaluator there is. Raises ImportError for a named one that is not installed."""
    for name, module in _MODULES.items():
        if backend in ("auto", name):
            try:
                importlib.import_module(module)
            except ImportError as error:
                if backend == name:
                    raise ImportError(
                        f"{name} is not installed: pip install loopwright[vision], or backend='own'"
                    ) from error
                continue
            return name
    return "own"


def _with_faster(found: Sequence[Detections], truth: Sequence[Truth], classes: int) -> Any:
    from faster_coco_eval import COCO, COCOeval_faster

    return _through_coco(COCO, COCOeval_faster, found, truth, classes)


def _with_pycocotools(found: Sequence[Detections], truth: Sequence[Truth], classes: int) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return _through_coco(COCO, COCOeval, found, truth, classes)


def _through_coco(
    coco: Any,
    evaluator: Any,
    found: Sequence[Detections],
    truth: Sequence[Truth],
    classes: int,
) -> dict[str, Any]:
    """Hand everything to one of COCO's evaluators and read its arrays."""
    rows = _predicted_rows(found)
    if not rows:
        return summary(found, truth, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco()
        known.dataset = _as_coco(truth, classes)
        known.createIndex()
        ran = evaluator(known, known.loadRes(rows), "bbox")
        ran.evaluate()
        ran.accumulate()
    precision = np.where(ran.eval["precision"] < 0, np.nan, ran.eval["precision"])
    recall = np.where(ran.eval["recall"] < 0, np.nan, ran.eval["recall"])
    whole = precision[:, :, :, 0, -1].mean(1)
    figures: dict[str, Any] = {
        "mAP": _nanmean(whole),
        "mAP_50": _nanmean(whole[0]),
        "mAP_75": _nanmean(whole[5]),
    }
    for place, letter in enumerate("sml", start=1):
        figures[f"mAP_{letter}"] = _nanmean(precision[:, :, :, place, -1])
    figures["AR@100"] = _nanmean(recall[:, :, 0, -1])
    figures["by_class"] = np.stack([whole.mean(0), whole[0]], 1)
    return figures


def _nanmean(values: Any) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _as_coco(truth: Sequence[Truth], classes: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for image, boxes in enumerate(truth):
        for box, label, ignore, area in zip(*boxes):
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": _xywh(box),
                    "area": float(area),
                    "iscrowd": int(ignore),
                }
            )
    return {
        "info": {},
        "images": [{"id": image, "width": 0, "height": 0} for image in range(len(truth))],
        "categories": [{"id": number, "name": str(number)} for number in range(classes)],
        "annotations": rows,
    }


def _predicted_rows(found: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": _xywh(box),
            "score": float(score),
        }
        for image, boxes in enumerate(found)
        for box, score, label in zip(*boxes)
    ]


def _xywh(box: Any) -> list[float]:
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]


_EVALUATORS = {
    "own": summary,
    "faster-coco-eval": _with_faster,
    "pycocotools": _with_pycocotools,
}

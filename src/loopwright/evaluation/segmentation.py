"""IoUMetric: mean IoU, Dice, F-score and accuracy of segmentation, with a table by class."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from loopwright.evaluation.confusion import Areas, areas, confusion
from loopwright.evaluation.fields import MASKS, PREDICTED_MASKS, need
from loopwright.evaluation.metric import BaseMetric
from loopwright.registry import METRICS

__all__ = ["IoUMetric", "table"]

_LOGGER = logging.getLogger("loopwright.evaluation")
_BY_CLASS = {
    "mIoU": ("IoU", "Acc"),
    "mDice": ("Dice", "Acc"),
    "mFscore": ("Fscore", "Precision", "Recall"),
}


@METRICS.register_module()
class IoUMetric(BaseMetric):
    """Percentages over all pixels of all samples: `aAcc`, and means over classes: `mIoU`, `mAcc`, …

    A sample holds `pred_sem_seg` and `gt_sem_seg`, each a mask of shape (H, W) or (1, H, W), or a
    dict with it as `data`. Classes come from the dataset's `classes` or `num_classes`; pixels
    labelled `ignore_index` do not count; a class that nowhere occurs does not enter a mean.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] = ("mIoU",),
        nan_to_num: float | None = None,
        beta: float = 1.0,
        num_classes: int | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.kinds = [iou_metrics] if isinstance(iou_metrics, str) else list(iou_metrics)
        for kind in self.kinds:
            if kind not in _BY_CLASS:
                raise ValueError(f"iou_metrics knows {', '.join(_BY_CLASS)}; got {kind!r}")
        self.ignore_index, self.nan_to_num, self.beta = ignore_index, nan_to_num, beta
        self.num_classes = num_classes

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep the areas by class of each sample: a tensor of shape (3, C)."""
        number = len(self._names())
        for sample in data_samples:
            labels = need(sample, MASKS, "IoUMetric").squeeze()
            predicted = need(sample, PREDICTED_MASKS, "IoUMetric").squeeze().to(labels.device)
            found = areas(confusion(predicted, labels, number, self.ignore_index))
            self.results.append(torch.stack([found.intersect, found.predicted, found.labelled]))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Sum the areas, log the table, return the means."""
        total = Areas(*torch.stack(results).sum(0))
        columns = self._columns(total)
        _LOGGER.info("by class:\n%s", table(self._names(), columns))
        metrics = {"aAcc": float(total.accuracy) * 100}
        metrics |= {f"m{name}": float(values.nanmean()) for name, values in columns.items()}
        return metrics

    def _columns(self, total: Areas) -> dict[str, Tensor]:
        """Percentages by class for each wanted figure."""
        figures = {
            "IoU": total.iou,
            "Acc": total.recall,
            "Dice": total.dice,
            "Fscore": total.fscore(self.beta),
            "Precision": total.precision,
            "Recall": total.recall,
        }
        wanted = dict.fromkeys(name for kind in self.kinds for name in _BY_CLASS[kind])
        columns = {name: figures[name] * 100 for name in wanted}
        if self.nan_to_num is not None:
            fill = float(self.nan_to_num)
            columns = {name: values.nan_to_num(fill) for name, values in columns.items()}
        return columns

    def _names(self) -> list[str]:
        classes = (self.dataset_meta or {}).get("classes")
        if classes:
            return [str(c) for c in classes]
        if self.num_classes is None:
            raise ValueError(
                "IoUMetric does not know the classes: give num_classes, or a dataset whose "
                "metainfo has 'classes'"
            )
        return [str(i) for i in range(self.num_classes)]


def table(names: Sequence[str], columns: dict[str, Tensor]) -> str:
    """Rows by class, right-aligned.

    >>> print(table(["cat", "dog"], {"IoU": torch.tensor([50.0, 100.0])}))
    class       IoU
    cat       50.00
    dog      100.00
    """
    width = max(len("class"), *map(len, names))
    lines = [f"{'class':<{width}}" + "".join(f"{title:>10}" for title in columns)]
    for index, name in enumerate(names):
        cells = "".join(f"{float(values[index]):>10.2f}" for values in columns.values())
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)

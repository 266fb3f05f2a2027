"""Accuracy and ConfusionMatrix of classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from loopwright.evaluation.confusion import confusion
from loopwright.evaluation.fields import LABELS, PREDICTED_LABELS, SCORES, find, need
from loopwright.evaluation.metric import BaseMetric
from loopwright.registry import METRICS

__all__ = ["Accuracy", "ConfusionMatrix"]


@METRICS.register_module()
class Accuracy(BaseMetric):
    """The share of samples, in percent, whose label is among the `topk` highest scores.

    A sample holds `pred_score` of shape (C,) (or `pred_label`, for `topk=1` alone) and `gt_label`,
    one label or several of which any counts. `thrs`: a prediction whose score is not above it is
    wrong; a list of thresholds gives one metric each.

    >>> metric = Accuracy(topk=(1, 2))
    >>> metric.process(None, [{"pred_score": torch.tensor([0.1, 0.6, 0.3]), "gt_label": 2}])
    >>> metric.evaluate(1)
    {'accuracy/top1': 0.0, 'accuracy/top2': 100.0}
    """

    default_prefix = "accuracy"

    def __init__(
        self,
        topk: int | Sequence[int] = (1,),
        thrs: float | Sequence[float | None] | None = 0.0,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.thrs = tuple(thrs) if isinstance(thrs, (list, tuple)) else (thrs,)
        if not self.topk or min(self.topk) < 1:
            raise ValueError(f"topk must be positive, got {topk}")

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep for each sample whether it is right, for each k and threshold."""
        for sample in data_samples:
            labels = need(sample, LABELS, "Accuracy").flatten()
            scores = find(sample, SCORES)
            if scores is not None:
                self.results.append(self._hits(scores, labels.to(scores.device)))
                continue
            predicted = need(sample, (*SCORES, *PREDICTED_LABELS), "Accuracy").flatten()
            if self.topk != (1,):
                raise ValueError(f"topk={self.topk} needs pred_score, the sample has labels only")
            right = (predicted == labels.to(predicted.device)).any()
            self.results.append(right.expand(len(self.thrs)))

    def _hits(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Right or wrong, in the order k by k, threshold by threshold; shape (k * t,)."""
        if max(self.topk) > scores.numel():
            raise ValueError(f"topk={self.topk} is more than the {scores.numel()} classes")
        best, order = scores.flatten().topk(max(self.topk))
        found = torch.isin(order, labels)
        over = [found if t is None or t <= 0 else found & (best > t) for t in self.thrs]
        return torch.stack([hits[:k].any() for k in self.topk for hits in over])

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """`top1`, `top5`, …; with several thresholds `top1_thr-0.50`, …"""
        shares = torch.stack(results).double().mean(0) * 100
        plain = len(self.thrs) == 1
        names = [
            f"top{k}" if plain else f"top{k}_thr-{'none' if t is None else format(t, '.2f')}"
            for k in self.topk
            for t in self.thrs
        ]
        return dict(zip(names, shares.tolist()))


@METRICS.register_module()
class ConfusionMatrix(BaseMetric):
    """Counts of (label, predicted label), a list of rows under `confusion_matrix/result`.

    `num_classes` comes from the scores, the dataset's `classes`, or the largest label seen.
    """

    default_prefix = "confusion_matrix"

    def __init__(
        self,
        num_classes: int | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.num_classes = num_classes

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep (predicted, label) of each sample."""
        for sample in data_samples:
            scores = find(sample, SCORES)
            if scores is not None:
                predicted = scores.flatten().argmax()
                self.num_classes = self.num_classes or scores.numel()
            else:
                predicted = need(sample, (*SCORES, *PREDICTED_LABELS), "ConfusionMatrix").flatten()[
                    0
                ]
            label = need(sample, LABELS, "ConfusionMatrix").flatten()[0]
            self.results.append(torch.stack([predicted, label.to(predicted.device)]))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """The matrix: rows are labels, columns predictions."""
        pairs = torch.stack(results)
        classes = (self.dataset_meta or {}).get("classes")
        number = self.num_classes or (len(classes) if classes else int(pairs.max()) + 1)
        return {"result": confusion(pairs[:, 0], pairs[:, 1], number).tolist()}

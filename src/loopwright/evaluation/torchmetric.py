"""TorchMetric: a metric of the torchmetrics library as one of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from loopwright.core.nearest import did_you_mean
from loopwright.evaluation.fields import stacked
from loopwright.evaluation.metric import BaseMetric, as_plain
from loopwright.registry import METRICS

__all__ = ["TorchMetric", "is_torchmetric"]


def is_torchmetric(value: Any) -> bool:
    """Whether this is a torchmetrics metric (the library is not imported)."""
    kinds = [base.__module__.partition(".")[0] for base in type(value).__mro__]
    return "torchmetrics" in kinds and hasattr(value, "update") and hasattr(value, "compute")


@METRICS.register_module()
class TorchMetric(BaseMetric):
    """Feeds `pred` and `target` of each sample to a torchmetrics metric, stacked by batch.

    `metric` is such a metric or its config (`dict(type="MulticlassAccuracy", num_classes=10)`;
    names are looked up in torchmetrics). The library merges the ranks itself. The result is named
    in snake case: `multiclass_accuracy`; a metric that gives a dict keeps its own names.
    """

    def __init__(
        self,
        metric: Any,
        pred: str = "pred_score",
        target: str = "gt_label",
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.metric = _from_config(metric) if isinstance(metric, Mapping) else metric
        self.pred, self.target, self._seen = pred, target, 0

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Update the metric with the batch."""
        predictions = stacked(data_samples, self.pred, "TorchMetric.pred")
        targets = stacked(data_samples, self.target, "TorchMetric.target")
        self.metric.to(predictions.device).update(predictions, targets.to(predictions.device))
        self._seen += len(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Name what the metric computed."""
        value = self.metric.compute()
        if isinstance(value, Mapping):
            return {str(k): as_plain(v) for k, v in value.items()}
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self.metric).__name__).lower()
        return {name: as_plain(value)}

    def evaluate(self, size: int | None) -> dict[str, Any]:
        """Compute over all ranks and reset."""
        if not self._seen:
            raise ValueError(f"{self._label()} around {type(self.metric).__name__} got no samples")
        metrics = self.compute_metrics([])
        self.metric.reset()
        self._seen = 0
        prefix = f"{self.prefix}/" if self.prefix else ""
        return {prefix + name: _listed(value) for name, value in metrics.items()}


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) else value


def _from_config(config: Mapping[str, Any]) -> Any:
    """Build `type` out of torchmetrics.

    Raises:
        ImportError: torchmetrics is not installed.
        ValueError: it has no such metric; the message says the nearest name.
    """
    try:
        import torchmetrics
        import torchmetrics.classification as classification
    except Exception as error:
        raise ImportError(
            "TorchMetric needs torchmetrics; install it with: pip install torchmetrics"
        ) from error
    name = str(config["type"]).rpartition(".")[2]
    kind = getattr(torchmetrics, name, None) or getattr(classification, name, None)
    if not isinstance(kind, type):
        hint = did_you_mean(name, [*dir(torchmetrics), *dir(classification)])
        raise ValueError(f"torchmetrics has no metric {name!r}{hint}")
    return kind(**{key: value for key, value in config.items() if key != "type"})

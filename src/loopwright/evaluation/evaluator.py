"""Evaluator: several metrics over one validation, their names kept apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loopwright.evaluation.metric import BaseMetric, warn_of_nan
from loopwright.evaluation.torchmetric import TorchMetric, is_torchmetric
from loopwright.registry import EVALUATOR, METRICS

__all__ = ["Evaluator", "get_metric_value", "merge_metrics", "prefix_metrics"]


@EVALUATOR.register_module()
class Evaluator:
    """Hands every batch to each metric and merges what they say.

    `metrics`: a metric, its config, or a list of these. A torchmetrics metric is taken as it is.
    """

    def __init__(self, metrics: Any) -> None:
        listed = metrics if isinstance(metrics, (list, tuple)) else [metrics]
        if not listed:
            raise ValueError("an evaluator needs at least one metric, got none")
        self.metrics: list[BaseMetric] = [_built(m, i) for i, m in enumerate(listed)]
        self._dataset_meta: dict[str, Any] | None = None

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """What the dataset says of itself; setting it tells every metric."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any] | None) -> None:
        self._dataset_meta = meta
        for metric in self.metrics:
            metric.dataset_meta = meta

    def process(self, data_samples: Any, data_batch: Any = None) -> None:
        """Give a batch's outputs (one entry a sample) and the batch to every metric."""
        samples = [_as_dict(sample) for sample in data_samples]
        for metric in self.metrics:
            metric.process(data_batch, samples)

    def evaluate(self, size: int | None = None) -> dict[str, Any]:
        """The metrics over `size` samples; padding beyond it is cut off.

        Raises:
            ValueError: two metrics give the same name, or one got no samples.
        """
        merged = merge_metrics(metric.evaluate(size) for metric in self.metrics)
        warn_of_nan(merged)
        return merged

    def offline_evaluate(
        self, data_samples: Sequence[Any], data: Sequence[Any] | None = None, chunk_size: int = 1
    ) -> dict[str, Any]:
        """Evaluate outputs that were saved, `chunk_size` at a time.

        Raises:
            ValueError: `data` is given and has another length.
        """
        if data is not None and len(data) != len(data_samples):
            raise ValueError(f"{len(data_samples)} data_samples came with {len(data)} data")
        for start in range(0, len(data_samples), chunk_size):
            stop = start + chunk_size
            part = None if data is None else data[start:stop]
            self.process(data_samples[start:stop], part)
        return self.evaluate(len(data_samples))


def _built(metric: Any, index: int) -> BaseMetric:
    if isinstance(metric, Mapping):
        metric = METRICS.build(metric)
    if is_torchmetric(metric):
        metric = TorchMetric(metric)
    if not (hasattr(metric, "process") and hasattr(metric, "evaluate")):
        raise TypeError(
            f"evaluator metric {index} must be a config or have process() and evaluate(), "
            f"got {type(metric).__name__}"
        )
    return metric


def _as_dict(sample: Any) -> Any:
    return sample.to_dict() if hasattr(sample, "to_dict") else sample


def merge_metrics(
    parts: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One dict of all metrics.

    Raises:
        ValueError: a name comes twice; the message says how to keep them apart.
    """
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if name in merged:
                raise ValueError(f"two metrics are called {name!r}: give them different prefixes")
            merged[name] = value
    return merged


def prefix_metrics(name: str | None, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of one of several validation sets: `name/` before each; None changes nothing.

    >>> prefix_metrics("city", {"mIoU": 0.5})
    {'city/mIoU': 0.5}
    """
    return {f"{name}/{key}" if name else key: value for key, value in metrics.items()}


def get_metric_value(indicator: str, metrics: Mapping[str, Any]) -> Any:
    """The metric of that name, or the only one whose name ends in `/indicator`.

    Raises:
        ValueError: none or several match; the message lists what there is.
    """
    if indicator in metrics:
        return metrics[indicator]
    matching = [name for name in metrics if name.rpartition("/")[2] == indicator]
    if len(matching) == 1:
        return metrics[matching[0]]
    if matching:
        raise ValueError(f"{indicator!r} means several metrics: {', '.join(matching)}")
    raise ValueError(f"no metric {indicator!r}; there are: {', '.join(metrics) or 'none'}")

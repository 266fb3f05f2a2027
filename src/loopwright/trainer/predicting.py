"""Predicting: MMEngine's evaluators and models in detectron2's evaluation, and one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from loopwright.evaluation import DatasetEvaluator


class AsDatasetEvaluator(DatasetEvaluator):
    """An ``Evaluator`` of metrics as a ``DatasetEvaluator``.

    ``size`` gives the number of samples of the data set when asked, or None where it is not known:
    what a sampler repeated to make the ranks' shares even is then counted too.
    """

    def __init__(self, evaluator: Any, size: Callable[[], int | None]) -> None:
        self.evaluator, self.size = evaluator, size

    def process(self, inputs: Any, outputs: Any) -> None:
        self.evaluator.process(data_samples=outputs, data_batch=inputs)

    def evaluate(self) -> dict[str, Any]:
        """The metrics over all ranks' samples, on every rank; metrics forget by evaluating."""
        results: dict[str, Any] = self.evaluator.evaluate(self.size())
        return results


class Predicting(nn.Module):
    """A model whose call is its ``val_step``, so that it can be evaluated like any other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> Any:
        return self.model.val_step(batch)  # type: ignore[operator]


def callable_in_eval(model: nn.Module) -> nn.Module:
    """The model itself, or where it predicts by ``val_step``, a module that calls that."""
    return Predicting(model) if hasattr(model, "val_step") else model

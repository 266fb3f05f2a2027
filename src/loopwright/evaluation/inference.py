"""detectron2's way to evaluate: DatasetEvaluator, inference_on_dataset, and checks of results."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = [
    "DatasetEvaluator",
    "DatasetEvaluators",
    "flatten_results_dict",
    "inference_context",
    "inference_on_dataset",
    "print_csv_format",
    "verify_results",
]

_LOGGER = logging.getLogger("loopwright.evaluation")
_SAY_EVERY = 5.0


class DatasetEvaluator:
    """Sees inputs and outputs of every batch; `evaluate` gives a dict of results, or None."""

    def reset(self) -> None:
        """Forget everything; called before an evaluation."""

    def process(self, inputs: Any, outputs: Any) -> None:
        """Look at one batch."""

    def evaluate(self) -> Any:
        """The results, nested by task: `{"bbox": {"AP": 40.1}}`."""


class DatasetEvaluators(DatasetEvaluator):
    """Several evaluators as one; a name that two of them give is an error."""

    def __init__(self, evaluators: Sequence[DatasetEvaluator]) -> None:
        self._evaluators = list(evaluators)

    def reset(self) -> None:
        for evaluator in self._evaluators:
            evaluator.reset()

    def process(self, inputs: Any, outputs: Any) -> None:
        for evaluator in self._evaluators:
            evaluator.process(inputs, outputs)

    def evaluate(self) -> dict[str, Any]:
        merged: dict[str, Any] = OrderedDict()
        for evaluator in self._evaluators:
            for name, value in (evaluator.evaluate() or {}).items():
                if name in merged:
                    raise ValueError(f"two evaluators give a result called {name!r}")
                merged[name] = value
        return merged


@contextmanager
def inference_context(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards every sub-module is in the mode it was in, also after errors.

    A frozen sub-module that was in eval mode while its parent trains stays so.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def inference_on_dataset(
    model: nn.Module,
    data_loader: Iterable[Any],
    evaluator: DatasetEvaluator | Sequence[DatasetEvaluator] | None,
    callbacks: Mapping[str, Callable[[], Any]] | None = None,
) -> dict[str, Any]:
    """Run the model over the loader without gradients and return the evaluator's results.

    `callbacks` may hold `on_start`, `before_inference`, `after_inference`, `on_end`. The loader
    needs no length. No evaluator, or one that answers None, gives `{}`.

    Raises:
        ValueError: an unknown callback.
    """
    said = _callbacks(callbacks)
    judge = (
        evaluator if isinstance(evaluator, DatasetEvaluator) else DatasetEvaluators(evaluator or [])
    )
    judge.reset()
    total = len(data_loader) if isinstance(data_loader, Sized) else None
    pace = _Pace(total)
    with inference_context(model), torch.no_grad():
        said["on_start"]()
        for index, inputs in enumerate(data_loader):
            pace.fetched()
            said["before_inference"]()
            outputs = model(inputs)
            said["after_inference"]()
            pace.inferred()
            judge.process(inputs, outputs)
            pace.judged(index + 1)
        said["on_end"]()
    _LOGGER.info("Inference done: %s", pace.summary())
    return judge.evaluate() or {}


def _callbacks(given: Mapping[str, Callable[[], Any]] | None) -> dict[str, Callable[[], Any]]:
    names = ("on_start", "before_inference", "after_inference", "on_end")
    unknown = set(given or {}) - set(names)
    if unknown:
        raise ValueError(f"unknown callbacks {sorted(unknown)}; there are: {', '.join(names)}")
    return {name: (given or {}).get(name) or (lambda: None) for name in names}


class _Pace:
    """Where the time of an evaluation goes, said at most every five seconds."""

    def __init__(self, total: int | None) -> None:
        self.total, self.count = total, 0
        self.spent = {"data": 0.0, "inference": 0.0, "eval": 0.0}
        self._began = self._mark = self._said = time.monotonic()

    def _charge(self, part: str) -> None:
        now = time.monotonic()
        self.spent[part] += now - self._mark
        self._mark = now

    def fetched(self) -> None:
        """The batch is there."""
        self._charge("data")

    def inferred(self) -> None:
        """The model has answered."""
        self._charge("inference")

    def judged(self, count: int) -> None:
        """The evaluator has seen `count` batches."""
        self._charge("eval")
        self.count = count
        if self._mark - self._said >= _SAY_EVERY:
            self._said = self._mark
            _LOGGER.info("Inference done %s/%s. %s", count, self.total or "?", self.summary())

    def summary(self) -> str:
        """Seconds a batch by part."""
        each = {name: spent / max(self.count, 1) for name, spent in self.spent.items()}
        parts = ", ".join(f"{name} {seconds:.4f} s" for name, seconds in each.items())
        return f"{self.count} batches in {self._mark - self._began:.1f} s ({parts} a batch)"


def print_csv_format(results: Mapping[str, Any]) -> None:
    """Log results so that they can be pasted into a spreadsheet: task, names, values."""
    for task, values in results.items():
        if isinstance(values, Mapping):
            shown = {k: v for k, v in values.items() if "-" not in k}
            _LOGGER.info("copypaste: Task: %s", task)
            _LOGGER.info("copypaste: %s", ",".join(shown))
            _LOGGER.info("copypaste: %s", ",".join(f"{v:.4f}" for v in shown.values()))
        else:
            _LOGGER.info("copypaste: %s=%s", task, values)


def verify_results(cfg: Any, results: Mapping[str, Mapping[str, float]]) -> bool:
    """Compare with `cfg.TEST.EXPECTED_RESULTS` (or a list): (task, metric, expected, tolerance).

    Raises:
        SystemExit: (code 1) a result is missing, not finite or too far off, after logging which.
    """
    expected = cfg if isinstance(cfg, (list, tuple)) else cfg.TEST.EXPECTED_RESULTS
    bad = []
    for task, metric, wanted, tolerance in expected:
        got = results.get(task, {}).get(metric)
        if got is None or not abs(got - wanted) <= tolerance:
            bad.append(f"{task}/{metric}: got {got}, wanted {wanted} within {tolerance}")
    if bad:
        _LOGGER.error("results verification failed: %s", "; ".join(bad))
        raise SystemExit(1)
    if expected:
        _LOGGER.info("results verification passed")
    return True


def flatten_results_dict(results: Mapping[str, Any]) -> dict[str, Any]:
    """Nested results with "/" between the names.

    >>> flatten_results_dict({"bbox": {"AP": 40.0}, "n": 2})
    {'bbox/AP': 40.0, 'n': 2}
    """
    flat: dict[str, Any] = {}
    for name, value in results.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{k}": v for k, v in flatten_results_dict(value).items()}
        else:
            flat[name] = value
    return flat

"""BaseMetric: what one metric keeps of each sample, and how the ranks' parts become one number."""

from __future__ import annotations

import json
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loopwright.dist import broadcast_object, collect_results, decode, encode, is_main_process
from loopwright.files import atomic_write
from loopwright.registry import METRICS

__all__ = ["BaseMetric", "DumpResults", "load_results"]


class BaseMetric(ABC):
    """Subclasses append to `self.results` in `process`, one entry a sample, and compute from all.

    `prefix` (or `default_prefix`) goes before the names: `accuracy` becomes `prefix/accuracy`.
    `collect_device`: "cpu" moves what was kept off the device before ranks exchange it.

    >>> class Mean(BaseMetric):
    ...     def process(self, data_batch, data_samples):
    ...         self.results += [sample["score"] for sample in data_samples]
    ...     def compute_metrics(self, results):
    ...         return {"mean": sum(results) / len(results)}
    >>> metric = Mean(prefix="score")
    >>> metric.process(None, [{"score": 1.0}, {"score": 3.0}])
    >>> metric.evaluate(2)
    {'score/mean': 2.0}
    """

    default_prefix: str | None = None

    def __init__(
        self,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        if collect_device not in ("cpu", "gpu"):
            raise ValueError(f"collect_device must be 'cpu' or 'gpu', got {collect_device!r}")
        self.collect_device, self.collect_dir = collect_device, collect_dir
        self.prefix = prefix or self.default_prefix
        self.results: list[Any] = []
        self._dataset_meta: dict[str, Any] | None = None

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """What the dataset says of itself (`classes`, `palette`, …)."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any] | None) -> None:
        self._dataset_meta = meta

    @abstractmethod
    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep what is needed of one batch: extend `self.results`, one entry a sample."""

    @abstractmethod
    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """The metrics from every rank's results, in the order of the dataset; main rank only."""

    def evaluate(self, size: int | None) -> dict[str, Any]:
        """The metrics over `size` samples, on every rank; what was kept is forgotten.

        Raises:
            ValueError: no rank kept anything.
            Exception: what `compute_metrics` raised, noted with the metric's name (RuntimeError
                on the other ranks).
        """
        mine = to_cpu(self.results) if self.collect_device == "cpu" else self.results
        self.results = []
        gathered = collect_results(mine, size, self.collect_device)  # type: ignore[arg-type]
        metrics, failure = self._compute(gathered)
        answer = broadcast_object({"metrics": metrics, "failure": failure and str(failure)})
        if failure is not None:
            raise failure
        if answer["failure"] is not None:
            raise RuntimeError(f"the main process failed in {self._label()}: {answer['failure']}")
        return dict(answer["metrics"])

    def _compute(self, results: list[Any] | None) -> tuple[dict[str, Any], Exception | None]:
        """The prefixed metrics, or why there are none; a failure must reach the other ranks."""
        if not is_main_process() or results is None:
            return {}, None
        try:
            if not results:
                raise ValueError(
                    f"{self._label()} got no samples: its process() must extend self.results, "
                    "and the dataset must not be empty"
                )
            found = self.compute_metrics(results)
        except Exception as error:
            error.add_note(f"while computing the metric {self._label()}")
            return {}, error
        prefix = f"{self.prefix}/" if self.prefix else ""
        return {prefix + name: as_plain(value) for name, value in found.items()}, None

    def _label(self) -> str:
        name = type(self).__name__
        return f"{name} (prefix {self.prefix!r})" if self.prefix else name


def to_cpu(value: Any) -> Any:
    """Tensors, also in lists, tuples and dicts, detached and moved to the CPU."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {k: to_cpu(v) for k, v in value.items()}
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(to_cpu(v) for v in value)
    if isinstance(value, list):
        return [to_cpu(v) for v in value]
    return value


def as_plain(value: Any) -> Any:
    """One-element tensors and numpy numbers as Python numbers; arrays and the rest as they are.

    >>> import numpy
    >>> as_plain(numpy.float32(0.5)), as_plain(numpy.array([2]))
    (0.5, 2)
    """
    size = value.numel() if hasattr(value, "numel") else getattr(value, "size", None)
    return value.item() if size == 1 and hasattr(value, "item") else value


def warn_of_nan(metrics: Mapping[str, Any]) -> None:
    """Say which metrics are NaN: no such value may count as the best."""
    odd = [n for n, v in metrics.items() if isinstance(v, float) and math.isnan(v)]
    if odd:
        warnings.warn(f"metrics without a value (NaN): {', '.join(odd)}", stacklevel=3)


@METRICS.register_module()
class DumpResults(BaseMetric):
    """Writes what the model said of each sample to a file; gives no metric.

    `out_file_path` ends in `.json` (tensors as lists) or `.bin` (compact, tensors exact); both
    are read back by `load_results`. Pickles are not written: reading one executes code.
    """

    def __init__(
        self, out_file_path: str, collect_device: str = "cpu", collect_dir: str | None = None
    ) -> None:
        super().__init__(collect_device, None, collect_dir)
        if not str(out_file_path).endswith((".json", ".bin")):
            raise ValueError(
                f"DumpResults writes .json or .bin, got {out_file_path!r} (no pickles: reading "
                "one executes code)"
            )
        self.out_file_path = out_file_path

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep every sample on the CPU."""
        self.results += [to_cpu(sample) for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file."""
        save_results(self.out_file_path, results)
        return {}


def save_results(path: str, results: list[Any]) -> None:
    """Write results as JSON or as encoded bytes, by the file's ending, at once or not at all."""
    if str(path).endswith(".json"):
        atomic_write(path, json.dumps(_listed(results), indent=1))
    else:
        atomic_write(path, encode(results))


def load_results(path: str) -> list[Any]:
    """What DumpResults wrote; nothing in the file is executed."""
    data = Path(path).read_bytes()
    return json.loads(data) if str(path).endswith(".json") else decode(data)


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _listed(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_listed(v) for v in value]
    return value

"""Datasets over datasets: one after another, several times, rare classes more often, mixed."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from loopwright.data.compose import build_transform
from loopwright.data.faults import DataError
from loopwright.registry import DATASETS


def built(dataset: Any) -> Any:
    """A dataset from its config, or as it is."""
    return DATASETS.build(dataset) if isinstance(dataset, dict) else dataset


class Wrapper(Dataset[Any]):
    """A dataset whose ``idx``-th sample is a sample of another; ``place(idx)`` says which."""

    datasets: list[Any]

    def __init__(self, lazy_init: bool = False) -> None:
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def place(self, idx: int) -> tuple[Any, int]:
        """The dataset and the index in it that give a sample."""
        raise NotImplementedError

    def count(self) -> int:
        """How many samples there are."""
        raise NotImplementedError

    def full_init(self) -> None:
        """Load the annotations of what is wrapped; once."""
        if not self._fully_initialized:
            for dataset in self.datasets:
                if hasattr(dataset, "full_init"):
                    dataset.full_init()
            self._fully_initialized = True

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the first dataset's."""
        return copy.deepcopy(getattr(self.datasets[0], "metainfo", {}))

    @property
    def deterministic(self) -> bool | None:
        from loopwright.data.fetch import is_deterministic

        return all(map(is_deterministic, self.datasets))

    def __len__(self) -> int:
        self.full_init()
        return self.count()

    def __getitem__(self, idx: int) -> Any:
        self.full_init()
        dataset, inner = self.place(self._inside(idx))
        return dataset[inner]

    def _inside(self, idx: int) -> int:
        """The index counted from the front. Raises IndexError."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f"sample {idx} of {len(self)}")
        return idx % len(self)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The annotation of one sample; empty where the dataset inside has none."""
        self.full_init()
        dataset, inner = self.place(self._inside(idx))
        return dict(dataset.get_data_info(inner)) if hasattr(dataset, "get_data_info") else {}

    def set_epoch(self, epoch: int) -> None:
        """Tell the datasets inside."""
        for dataset in self.datasets:
            if hasattr(dataset, "set_epoch"):
                dataset.set_epoch(epoch)

    def switch_pipeline(self, pipeline: Any, epoch: int) -> None:
        """Give all datasets inside another pipeline from an epoch on."""
        for dataset in self.datasets:
            dataset.switch_pipeline(pipeline, epoch)


@DATASETS.register_module()
class ConcatDataset(Wrapper):
    """One dataset after another.

    Their metainfo must agree, except for ``ignore_keys``. Raises DataError where it does not.

    >>> ConcatDataset([[1, 2], [3]])[2]
    3
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        lazy_init: bool = False,
        ignore_keys: str | Sequence[str] | None = None,
    ) -> None:
        self.datasets = [built(dataset) for dataset in datasets]
        if not self.datasets:
            raise DataError("ConcatDataset needs at least one dataset")
        self.ignore_keys = (
            [ignore_keys] if isinstance(ignore_keys, str) else list(ignore_keys or ())
        )
        self._check_metainfo()
        super().__init__(lazy_init)

    def _check_metainfo(self) -> None:
        first = _compared(self.datasets[0], self.ignore_keys)
        for number, dataset in enumerate(self.datasets[1:], 1):
            other = _compared(dataset, self.ignore_keys)
            differs = [k for k in {**first, **other} if not _same(first.get(k), other.get(k))]
            if differs:
                raise DataError(
                    f"metainfo of dataset {number} differs from the first in {', '.join(differs)}; "
                    "name them in ignore_keys to keep the first's"
                )

    def full_init(self) -> None:
        """Load the annotations of all; once."""
        if not self._fully_initialized:
            super().full_init()
            self.ends = np.cumsum([len(dataset) for dataset in self.datasets])

    @property
    def cumulative_sizes(self) -> list[int]:
        """Where each dataset ends, counted in samples."""
        self.full_init()
        return [int(end) for end in self.ends]

    def count(self) -> int:
        return int(self.ends[-1])

    def place(self, idx: int) -> tuple[Any, int]:
        which, inner = self._get_ori_dataset_idx(idx)
        return self.datasets[which], inner

    def _get_ori_dataset_idx(self, idx: int) -> tuple[int, int]:
        which = int(np.searchsorted(self.ends, idx, side="right"))
        return which, idx - (int(self.ends[which - 1]) if which else 0)


@DATASETS.register_module()
class RepeatDataset(Wrapper):
    """A dataset ``times`` over, so that a short one does not end an epoch often.

    >>> len(RepeatDataset([1, 2], times=3))
    6
    """

    def __init__(self, dataset: Any, times: int, lazy_init: bool = False) -> None:
        if not isinstance(times, int) or times < 1:
            raise ValueError(f"RepeatDataset times is a whole number from 1, got {times!r}")
        self.dataset = built(dataset)
        self.datasets = [self.dataset]
        self.times = times
        super().__init__(lazy_init)

    def count(self) -> int:
        return self.times * len(self.dataset)

    def place(self, idx: int) -> tuple[Any, int]:
        return self.dataset, idx % len(self.dataset)


@DATASETS.register_module()
class ClassBalancedDataset(Wrapper):
    """Samples with rare classes several times an epoch (Gupta et al., LVIS, CVPR 2019).

    A sample comes ``ceil(max over its classes c of sqrt(oversample_thr / f_c))`` times, at least
    once, where ``f_c`` is the share of samples with class c. The dataset has ``get_cat_ids(idx)``.
    """

    def __init__(self, dataset: Any, oversample_thr: float, lazy_init: bool = False) -> None:
        self.dataset = built(dataset)
        self.datasets = [self.dataset]
        self.oversample_thr = oversample_thr
        super().__init__(lazy_init)

    def full_init(self) -> None:
        """Load the annotations and count classes; once."""
        if not self._fully_initialized:
            super().full_init()
            if not hasattr(self.dataset, "get_cat_ids"):
                raise DataError(
                    f"ClassBalancedDataset needs get_cat_ids(idx), the classes in a sample; "
                    f"{type(self.dataset).__name__} has none"
                )
            classes = [set(self.dataset.get_cat_ids(i)) for i in range(len(self.dataset))]
            times = repeats(classes, self.oversample_thr)
            self.repeat_indices = np.repeat(np.arange(len(times)), times)

    def count(self) -> int:
        return len(self.repeat_indices)

    def place(self, idx: int) -> tuple[Any, int]:
        return self.dataset, int(self.repeat_indices[idx])


def repeats(classes: Sequence[set[int]], threshold: float) -> list[int]:
    """How often each sample comes, given the classes in it.

    >>> repeats([{0}, {0}, {0}, {0, 1}], 1.0)
    [1, 1, 1, 2]
    """
    shares = Counter(label for labels in classes for label in labels)
    needed = {
        label: max(1.0, math.sqrt(threshold * len(classes) / n)) for label, n in shares.items()
    }
    return [math.ceil(max((needed[label] for label in labels), default=1.0)) for labels in classes]


@DATASETS.register_module()
class MultiImageMixDataset(Wrapper):
    """A dataset and a pipeline whose transforms may mix in other samples of it.

    A transform with ``mix_with(dataset)`` finds those samples, as the dataset gives them, under
    ``mix_results``. Types in ``skip_type_keys`` are left out (see ``update_skip_type_keys``).
    """

    def __init__(
        self,
        dataset: Any,
        pipeline: Sequence[Any],
        skip_type_keys: Sequence[str] | None = None,
        max_refetch: int = 15,
        lazy_init: bool = False,
    ) -> None:
        self.dataset = built(dataset)
        self.datasets = [self.dataset]
        self.pipeline = [(_name(cfg), build_transform(cfg)) for cfg in pipeline]
        self.max_refetch = max_refetch
        self.update_skip_type_keys(skip_type_keys)
        super().__init__(lazy_init)

    deterministic = False  # type: ignore[assignment]

    def update_skip_type_keys(self, skip_type_keys: Sequence[str] | None) -> None:
        """Which transforms to leave out from now on, by type."""
        self.skip = frozenset(skip_type_keys or ())

    def count(self) -> int:
        return len(self.dataset)

    def place(self, idx: int) -> tuple[Any, int]:
        return self.dataset, idx

    def __getitem__(self, idx: int) -> Any:
        self.full_init()
        for _ in range(self.max_refetch + 1):
            sample = self._mixed(idx)
            if sample is not None:
                return sample
            idx = int(np.random.randint(0, len(self)))
        raise DataError(f"the pipeline gave nothing {self.max_refetch + 1} times")

    def _mixed(self, idx: int) -> Any:
        sample = copy.deepcopy(self.dataset[idx])
        for name, transform in self.pipeline:
            if name in self.skip:
                continue
            if hasattr(transform, "mix_with"):
                others = transform.mix_with(self.dataset)
                sample["mix_results"] = [copy.deepcopy(self.dataset[other]) for other in others]
            sample = transform(sample)
            if sample is None:
                return None
        return sample


def _name(cfg: Any) -> str:
    kind = cfg.get("type") if isinstance(cfg, dict) else type(cfg)
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))


def _compared(dataset: Any, ignored: Sequence[str]) -> dict[str, Any]:
    metainfo = getattr(dataset, "metainfo", None) or {}
    return {key: value for key, value in metainfo.items() if key not in ignored}


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(np.asarray(one, object), np.asarray(other, object)))

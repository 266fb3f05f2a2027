"""The dataset other datasets are made from: annotations in, pipelines over them, samples out."""

from __future__ import annotations

import copy
import functools
import json
import os.path
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from loopwright.data.compose import Compose
from loopwright.data.encoding import Packed
from loopwright.data.faults import DataError
from loopwright.registry import DATASETS

Info = dict[str, Any]


def force_full_init(method: Callable[..., Any]) -> Callable[..., Any]:
    """Load a lazy dataset's annotations before a method that needs them."""

    @functools.wraps(method)
    def loaded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._fully_initialized:
            self.full_init()
        return method(self, *args, **kwargs)

    return loaded


@DATASETS.register_module()
class BaseDataset(Dataset[Any]):
    """Samples from an annotation file ``{"metainfo": {...}, "data_list": [{...}, ...]}``.

    ``ann_file`` and the values of ``data_prefix`` are joined with ``data_root``; each entry of
    ``data_list`` goes through ``parse_data_info``, the list through ``filter_data``, then
    ``indices`` (a number of samples, or which). ``metainfo`` wins over the class's METAINFO, which
    wins over the file's. In training a pipeline's None is answered with another sample, at most
    ``max_refetch`` times. Subclasses override ``load_data_list``, ``parse_data_info`` or
    ``filter_data``.
    """

    METAINFO: Mapping[str, Any] = {}

    def __init__(
        self,
        ann_file: str | None = "",
        metainfo: Mapping[str, Any] | None = None,
        data_root: str | None = "",
        data_prefix: Mapping[str, str] | None = None,
        filter_cfg: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[Any] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.ann_file = ann_file or ""
        self.data_root = data_root or ""
        self.data_prefix = dict({"img_path": ""} if data_prefix is None else data_prefix)
        self.filter_cfg = copy.deepcopy(filter_cfg)
        self.serialize_data = serialize_data
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        self.removed = ""
        self.data_list: list[Info] = []
        self._packed: Packed | None = None
        self._indices = indices
        self._metainfo = _metainfo(self.METAINFO, metainfo)
        self._fully_initialized = False
        self._join_prefix()
        self.pipeline = Compose(pipeline)
        self._switches: list[tuple[int, Compose]] = []
        if not lazy_init:
            self.full_init()

    # -- loading ---------------------------------------------------------------------------

    def _join_prefix(self) -> None:
        if self.ann_file:
            self.ann_file = _under(self.data_root, self.ann_file)
        for key, prefix in self.data_prefix.items():
            if not isinstance(prefix, str):
                raise TypeError(f"data_prefix.{key} must be a path, got {prefix!r}")
            self.data_prefix[key] = _under(self.data_root, prefix)

    def full_init(self) -> None:
        """Load, filter, choose and serialise the annotations; once."""
        if self._fully_initialized:
            return
        self.data_list = self.load_data_list()
        found = len(self.data_list)
        self.data_list = self.filter_data()
        if found != len(self.data_list):
            self.removed = f"filter_cfg={self.filter_cfg} removed {found - len(self.data_list)}"
        if not found:
            self.removed = f"no sample in {self.ann_file or 'load_data_list()'}"
        if self._indices is not None:
            self.data_list = [self.data_list[i] for i in _chosen(self._indices, self.data_list)]
        if self.serialize_data:
            self._packed, self.data_list = Packed(self.data_list), []
        self._fully_initialized = True

    def load_data_list(self) -> list[Info]:
        """The entries of the annotation file, parsed. Raises DataError for another layout."""
        content = _annotations(self.ann_file, type(self).__name__)
        missing = {"metainfo", "data_list"} - set(content if isinstance(content, dict) else ())
        if missing:
            raise DataError(
                f"{self.ann_file} must hold a dict with 'metainfo' and 'data_list'; "
                f"it lacks {', '.join(sorted(missing))}"
            )
        for key, value in content["metainfo"].items():
            self._metainfo.setdefault(key, value)
        data_list: list[Info] = []
        for raw in content["data_list"]:
            parsed = self.parse_data_info(raw)
            data_list += parsed if isinstance(parsed, list) else [parsed]
        wrong = next((info for info in data_list if not isinstance(info, dict)), None)
        if wrong is not None:
            raise TypeError(f"parse_data_info gives a dict or a list of dicts, got {wrong!r}")
        return data_list

    def parse_data_info(self, raw_data_info: Info) -> Info | list[Info]:
        """One entry with its paths under their prefixes."""
        info = dict(raw_data_info)
        for key, prefix in self.data_prefix.items():
            if key not in info:
                raise DataError(f"data_prefix names {key!r}, an entry has only {', '.join(info)}")
            info[key] = os.path.join(prefix, info[key])
        return info

    def filter_data(self) -> list[Info]:
        """The entries to keep, by ``filter_cfg``; all of them unless overridden."""
        return self.data_list

    # -- samples ---------------------------------------------------------------------------

    @property
    def metainfo(self) -> Info:
        """A copy of what holds for all samples: class names, palette."""
        return copy.deepcopy(self._metainfo)

    @force_full_init
    def get_data_info(self, idx: int) -> Info:
        """The annotation of one sample, with its place as ``sample_idx``; yours to change."""
        place = idx if idx >= 0 else len(self) + idx
        info = self._packed[place] if self._packed is not None else None
        if info is None:
            info = copy.deepcopy(self.data_list[place])
        info["sample_idx"] = place
        return info  # type: ignore[no-any-return]

    @force_full_init
    def __len__(self) -> int:
        return len(self._packed) if self._packed is not None else len(self.data_list)

    def prepare_data(self, idx: int) -> Any:
        """One sample through the pipeline; None where the pipeline leaves it out."""
        info = self.get_data_info(idx)
        if getattr(self.pipeline, "mixes", False):
            info["dataset"] = self
        return self.pipeline(info)

    @force_full_init
    def __getitem__(self, idx: int) -> Any:
        if self.test_mode:
            data = self.prepare_data(idx)
            if data is None:
                raise DataError(f"the test pipeline gave nothing for sample {idx}")
            return data
        chosen = idx
        for _ in range(self.max_refetch + 1):
            data = self.prepare_data(chosen)
            if data is not None:
                return data
            chosen = self._rand_another()
        raise DataError(f"the pipeline gave nothing for sample {idx} and {self.max_refetch} others")

    def _rand_another(self) -> int:
        # numpy's generator is seeded for each sample, so the replacement is always the same
        return int(np.random.randint(0, len(self)))

    # -- pipelines -------------------------------------------------------------------------

    def switch_pipeline(self, pipeline: Sequence[Any] | Compose, epoch: int) -> None:
        """Use another pipeline from an epoch on; workers follow by the epoch of each task."""
        if not self._switches:
            self._switches = [(0, self.pipeline)]
        new = pipeline if isinstance(pipeline, Compose) else Compose(pipeline)
        kept = [switch for switch in self._switches if switch[0] != epoch]
        self._switches = sorted([*kept, (epoch, new)], key=lambda switch: switch[0])

    def set_epoch(self, epoch: int) -> None:
        """Take the pipeline of an epoch; the loader calls it where samples are made."""
        for start, pipeline in self._switches:
            if start <= epoch:
                self.pipeline = pipeline
        for transform in getattr(self.pipeline, "transforms", ()):
            if hasattr(transform, "set_epoch"):
                transform.set_epoch(epoch)

    # -- parts -----------------------------------------------------------------------------

    def get_subset(self, indices: int | Sequence[int]) -> BaseDataset:
        """A dataset of some samples: the first n, the last -n, or those listed."""
        other = copy.copy(self)
        other.get_subset_(indices)
        return other

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some samples only."""
        chosen = _chosen(indices, range(len(self)))
        if self._packed is not None:
            self._packed = Packed(self._packed[i] for i in chosen)
        else:
            self.data_list = [copy.deepcopy(self.data_list[i]) for i in chosen]


def _metainfo(of_class: Mapping[str, Any], given: Mapping[str, Any] | None) -> Info:
    merged = copy.deepcopy(dict(of_class))
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"metainfo must be a dict, got {given!r}")
    for key, value in (given or {}).items():
        is_file = isinstance(value, str) and os.path.isfile(value)
        merged[key] = _lines(value) if is_file else copy.deepcopy(value)
    return merged


def _annotations(path: str, name: str) -> Any:
    if not path:
        raise DataError(f"{name} needs an ann_file, or a load_data_list of its own")
    if path.endswith((".pkl", ".pickle")):
        raise DataError(f"{path}: pickled annotations could run code; convert them to JSON")
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from error


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8-sig") as file:
        return [line.rstrip("\r\n") for line in file]


def _under(root: str, path: str) -> str:
    return path if "://" in path else os.path.join(root, path)


def _chosen(indices: int | Sequence[int], of: Sequence[Any]) -> Sequence[int]:
    if isinstance(indices, int):
        places = range(len(of))
        return places[:indices] if indices >= 0 else places[indices:]
    if isinstance(indices, str) or not isinstance(indices, Sequence | np.ndarray):
        raise TypeError(f"indices is a number of samples or a list of places, got {indices!r}")
    return [int(i) for i in indices]

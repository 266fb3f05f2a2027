"""From a loader's config to a loader, with every mistake said before the first batch."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch.utils.data import IterableDataset

from loopwright.config.provenance import origin_of
from loopwright.core.nearest import nearest_or_all
from loopwright.data.collate import pseudo_collate
from loopwright.data.faults import BadSamples, DataError
from loopwright.data.foreign import adopt
from loopwright.data.loader import Loader
from loopwright.data.position import Positioned
from loopwright.data.preflight import CHECKED, stop_at_broken_images
from loopwright.data.stream import StreamLoader
from loopwright.data.workers import HANG, WorkerSettings
from loopwright.registry import DATA_SAMPLERS, DATASETS, FUNCTIONS
from loopwright.registry.build import resolve

_TAKES = {
    "dataset", "sampler", "batch_sampler", "batch_size", "num_workers", "persistent_workers",
    "collate_fn", "drop_last", "pin_memory", "prefetch_factor", "num_batch_per_epoch",
    "worker_init_fn", "timeout", "multiprocessing_context", "disable_subprocess_warning",
    "shuffle", "on_bad_sample", "max_bad_samples", "bad_samples_file",
    "check_images", "max_worker_restarts",
}  # fmt: skip
_IGNORED = {"pin_memory_device", "in_order", "generator"}


def build_dataloader(
    cfg: Any,
    *,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    diff_rank_seed: bool = False,
    shuffle: bool | None = None,
    bad_samples_file: str | None = None,
) -> Any:
    """A loader from a config (MMEngine's keys), a torch DataLoader, or any iterable of batches.

    ``shuffle`` decides where the config names no sampler (None: unless the dataset is in test
    mode). ``diff_rank_seed`` lets each rank draw other augmentations for the same sample. Raises
    DataError for unknown keys, an empty dataset, fewer samples than ranks, or no whole batch;
    SampleError for image files that are missing, empty or cut off (``check_images`` of them are
    looked at, 20,000 unless told otherwise; with ``on_bad_sample="skip"`` none).

    >>> loader = build_dataloader(dict(dataset=[1, 2, 3], batch_size=2, shuffle=False))
    >>> list(loader)
    [[1, 2], [3]]
    """
    sample_seed = seed + rank if diff_rank_seed else seed
    if not isinstance(cfg, Mapping):
        return _adopted(cfg, sample_seed)
    _check_keys(cfg)
    dataset = _dataset(cfg)
    common = _common(cfg, rank=rank, seed=sample_seed)
    if _is_stream(dataset):
        return StreamLoader(dataset, batch_size=cfg.get("batch_size", 1), **common)
    _check_samples(dataset, world, cfg)
    if cfg.get("on_bad_sample", "stop") == "stop":
        stop_at_broken_images(dataset, at_most=cfg.get("check_images", CHECKED))
    sampler = _sampler(cfg, dataset, seed=seed, rank=rank, world=world, shuffle=shuffle)
    loader = Loader(
        dataset,
        batch_size=_batch_size(cfg),
        sampler=sampler,
        batch_sampler=_batch_sampler(cfg, sampler),
        bad_samples=_bad_samples(cfg, dataset, bad_samples_file),
        **common,
    )
    _check_whole_batch(loader, cfg)
    return loader


def _common(cfg: Mapping[str, Any], *, rank: int, seed: int) -> dict[str, Any]:
    """What loaders of samples by number and of streams both take."""
    return {
        "drop_last": bool(cfg.get("drop_last", False)),
        "collate_fn": _function(cfg, "collate_fn", pseudo_collate),
        "num_batch_per_epoch": cfg.get("num_batch_per_epoch"),
        "pin_memory": bool(cfg.get("pin_memory", False)),
        "seed": seed,
        "workers": _workers(cfg, rank=rank, seed=seed),
    }


def _check_whole_batch(loader: Loader, cfg: Mapping[str, Any]) -> None:
    if loader.length == 0:
        raise DataError(
            f"{_at(cfg, 'batch_size')}no whole batch of {loader.batch_size} in the "
            f"{len(loader.sampler)} samples of a rank, and drop_last drops the rest"
        )


def _adopted(cfg: Any, seed: int) -> Positioned:
    if not hasattr(cfg, "__iter__"):
        raise DataError(f"a loader is a config dict or an iterable of batches, got {cfg!r}")
    return adopt(cfg, seed=seed)


def _at(cfg: Any, key: str) -> str:
    origin = origin_of(cfg, key)
    return f"{key} ({origin}): " if origin else ""


def _check_keys(cfg: Mapping[str, Any]) -> None:
    for key in cfg:
        if key in _TAKES or key in _IGNORED:
            continue
        hint = nearest_or_all(key, _TAKES)
        raise DataError(f"{_at(cfg, key)}a loader takes no {key!r}{hint}")
    if "dataset" not in cfg:
        raise DataError(
            f"a loader needs 'dataset', got only {', '.join(map(str, cfg)) or 'nothing'}"
        )


def _dataset(cfg: Mapping[str, Any]) -> Any:
    dataset = cfg["dataset"]
    if isinstance(dataset, dict):
        dataset = DATASETS.build(dataset)
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    return dataset


def _is_stream(dataset: Any) -> bool:
    return isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__")


def _check_samples(dataset: Any, world: int, cfg: Mapping[str, Any]) -> None:
    name, count = type(dataset).__name__, len(dataset)
    if count == 0:
        removed = getattr(dataset, "removed", None)
        why = f": {removed}" if removed else ""
        raise DataError(f"{_at(cfg, 'dataset')}{name} is empty{why}")
    if count < world:
        raise DataError(f"{_at(cfg, 'dataset')}{name} has {count} samples for {world} ranks")


def _batch_size(cfg: Mapping[str, Any]) -> int:
    size = cfg.get("batch_size", 1)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise DataError(f"{_at(cfg, 'batch_size')}batch_size must be a positive int, got {size!r}")
    return size


def _sampler(
    cfg: Mapping[str, Any], dataset: Any, *, seed: int, rank: int, world: int, shuffle: bool | None
) -> Any:
    sampler = cfg.get("sampler")
    if sampler is not None and not isinstance(sampler, dict):
        return sampler
    if sampler is None:
        wanted = cfg.get("shuffle", shuffle)
        if wanted is None:
            wanted = not getattr(dataset, "test_mode", False)
        sampler = {"type": "DefaultSampler", "shuffle": wanted}
    # only where asked for by name: a sampler that takes anything hands it on to its base
    known = {"rank": rank, "world": world, "num_replicas": world, "data_source": dataset}
    takes = _parameters(resolve(sampler.get("type"), DATA_SAMPLERS, sampler))
    named = {key: value for key, value in known.items() if key in takes}
    return DATA_SAMPLERS.build(sampler, dataset=dataset, seed=seed, **named)


def _parameters(target: Any) -> set[str]:
    try:
        return set(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return set()


def _batch_sampler(cfg: Mapping[str, Any], sampler: Any) -> Any:
    batches = cfg.get("batch_sampler")
    if not isinstance(batches, dict):
        return batches
    drop_last = bool(cfg.get("drop_last", False))
    return DATA_SAMPLERS.build(
        batches, sampler=sampler, batch_size=_batch_size(cfg), drop_last=drop_last
    )


def _function(cfg: Mapping[str, Any], key: str, default: Any) -> Any:
    """A function by name, by ``dict(type=…, more arguments)``, or itself."""
    given = cfg.get(key)
    if given is None:
        return default
    if not isinstance(given, dict):
        return resolve(given, FUNCTIONS, cfg)
    function = resolve(given.get("type"), FUNCTIONS, given)
    arguments = {name: value for name, value in given.items() if name not in ("type", "_scope_")}
    if inspect.isclass(function):
        return function(**arguments)
    return partial(function, **arguments) if arguments else function


def _workers(cfg: Mapping[str, Any], *, rank: int, seed: int) -> WorkerSettings:
    count = cfg.get("num_workers", 0)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise DataError(f"{_at(cfg, 'num_workers')}num_workers must be an int >= 0, got {count!r}")
    if count == 0 and cfg.get("persistent_workers"):
        warnings.warn("persistent_workers means nothing with num_workers=0", stacklevel=3)
    return WorkerSettings(
        count=count,
        persistent=bool(cfg.get("persistent_workers", False)),
        prefetch=cfg.get("prefetch_factor") or 2,
        timeout=HANG if cfg.get("timeout") is None else float(cfg["timeout"]),
        restarts=int(cfg.get("max_worker_restarts", 3)),
        context=cfg.get("multiprocessing_context"),
        init=_init(cfg, count, rank, seed),
        seed=seed,
    )


def _init(cfg: Mapping[str, Any], count: int, rank: int, seed: int) -> Callable[[int], Any] | None:
    init = _function(cfg, "worker_init_fn", None)
    quiet = bool(cfg.get("disable_subprocess_warning", False))
    if init is None:
        return partial(_hush) if quiet else None
    known = {
        "num_workers": count, "rank": rank, "seed": seed, "disable_subprocess_warning": quiet
    }  # fmt: skip
    takes = inspect.signature(init).parameters
    return partial(init, **{key: value for key, value in known.items() if key in takes})


def _hush(worker_id: int) -> None:
    if worker_id:
        warnings.simplefilter("ignore")


def worker_init_fn(
    worker_id: int,
    num_workers: int = 1,
    rank: int = 0,
    seed: int = 0,
    disable_subprocess_warning: bool = False,
) -> None:
    """Silence all workers but the first, if asked; seeds are set for each sample anyway."""
    if disable_subprocess_warning:
        _hush(worker_id)


def _bad_samples(cfg: Mapping[str, Any], dataset: Any, file: str | None) -> BadSamples | None:
    policy = cfg.get("on_bad_sample", "stop")
    if policy not in ("stop", "skip"):
        raise DataError(
            f"{_at(cfg, 'on_bad_sample')}on_bad_sample is 'stop' or 'skip', got {policy!r}"
        )
    if policy == "stop":
        return None
    cap = float(cfg.get("max_bad_samples", 0.001))
    return BadSamples(len(dataset), cap=cap, file=cfg.get("bad_samples_file", file))


FUNCTIONS.register_module(module=worker_init_fn)

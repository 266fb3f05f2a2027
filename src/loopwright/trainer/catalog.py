"""Data sets by name, facts about them, and the loaders of dicts that detectron2's configs name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from loopwright import dist
from loopwright.config import ConfigError
from loopwright.config.errors import nearest
from loopwright.config.provenance import origin_of
from loopwright.data import build_dataloader

Mapper = Callable[[Any], Any]
_TRIES = 100


class _Catalog:
    """Functions by name, each giving the list of a data set's samples."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[[], Sequence[Any]]] = {}

    def register(self, name: str, func: Callable[[], Sequence[Any]]) -> None:
        """Name a data set; ``func()`` gives its samples, the same each time.

        Raises KeyError for a name that is taken, TypeError for no function.
        """
        if not callable(func):
            raise TypeError(f"register a function that gives the samples of {name!r}, got {func!r}")
        if name in self._functions:
            raise KeyError(f"a data set {name!r} is registered already; remove({name!r}) first")
        self._functions[name] = func

    def get(self, name: str) -> Sequence[Any]:
        """The samples of a data set. Raises KeyError, with the nearest name, for an unknown one."""
        if name not in self._functions:
            raise KeyError(f"no data set {name!r}{nearest(name, self._functions)}")
        return self._functions[name]()

    def list(self) -> list[str]:
        """The names of all data sets."""
        return [*self._functions]

    def remove(self, name: str) -> None:
        """Forget a data set."""
        del self._functions[name]

    def clear(self) -> None:
        """Forget all."""
        self._functions.clear()

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


class Metadata:
    """Facts about a data set: attributes that may be set once."""

    def __init__(self, name: str) -> None:
        self.__dict__["name"] = name

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        raise AttributeError(f"no {key!r} is known of the data set {self.name!r}"
                             f"{nearest(key, vars(self))}")  # fmt: skip

    def __setattr__(self, key: str, value: Any) -> None:
        if key in vars(self) and vars(self)[key] != value:
            raise ValueError(f"{key!r} of {self.name!r} is {vars(self)[key]!r}, not {value!r}")
        self.__dict__[key] = value

    def set(self, **facts: Any) -> Metadata:
        """Set several facts."""
        for key, value in facts.items():
            setattr(self, key, value)
        return self

    def get(self, key: str, default: Any = None) -> Any:
        """A fact, or the default."""
        return vars(self).get(key, default)

    def as_dict(self) -> dict[str, Any]:
        """All facts."""
        return dict(vars(self))


class _MetadataCatalog:
    """Facts by the name of a data set, empty for a name that is new."""

    def __init__(self) -> None:
        self._known: dict[str, Metadata] = {}

    def get(self, name: str) -> Metadata:
        """The facts of a data set."""
        return self._known.setdefault(name, Metadata(name))

    def list(self) -> list[str]:
        """The names of all data sets of which something is known."""
        return [*self._known]

    def remove(self, name: str) -> None:
        """Forget what is known of a data set."""
        del self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._known


DatasetCatalog = _Catalog()
MetadataCatalog = _MetadataCatalog()


class MapDataset:
    """A data set seen through a mapper, a function of a copy of each sample.

    Where the mapper gives None the next sample takes the place.
    """

    def __init__(self, dataset: Sequence[Any], map_func: Mapper | None) -> None:
        self.dataset, self.map_func = dataset, map_func

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        for further in range(_TRIES):
            sample = copy.deepcopy(self.dataset[(index + further) % len(self.dataset)])
            mapped = sample if self.map_func is None else self.map_func(sample)
            if mapped is not None:
                return mapped
        raise ValueError(f"the mapper gave None for {_TRIES} samples from {index} on")


def get_detection_dataset_dicts(names: str | Sequence[str], **_: Any) -> list[Any]:
    """The samples of several data sets one after the other."""
    return [
        s
        for name in ([names] if isinstance(names, str) else names)
        for s in DatasetCatalog.get(name)
    ]


def build_detection_train_loader(
    dataset: Any,
    *,
    mapper: Mapper | None = None,
    total_batch_size: int | None = None,
    num_workers: int | None = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    seed: int | None = None,
    **_: Any,
) -> Any:
    """Batches for ever, lists of mapped samples, each round shuffled anew, shared by the ranks.

    ``dataset`` is a config (then the rest comes from it where it is not given), a list or a data
    set. Without a mapper samples come as they are. A trainer that is resumed goes on at the next
    batch, not at the first.
    """
    if isinstance(dataset, dict):
        cfg, solver = dataset, dataset["SOLVER"]
        dataset = get_detection_dataset_dicts(_named(cfg, "TRAIN"))
        total_batch_size = total_batch_size or solver["IMS_PER_BATCH"]
        num_workers = cfg["DATALOADER"]["NUM_WORKERS"] if num_workers is None else num_workers
        seed = cfg["SEED"] if seed is None and cfg["SEED"] >= 0 else seed
    return _loader(
        MapDataset(dataset, mapper),
        batch=_share(total_batch_size or 1),
        training=True,
        workers=num_workers or 0,
        collate_fn=collate_fn or list,
        seed=int(dist.sync_random_seed()) if seed is None else seed,
    )


def build_detection_test_loader(
    dataset: Any,
    dataset_name: str | Sequence[str] | None = None,
    *,
    mapper: Mapper | None = None,
    batch_size: int = 1,
    num_workers: int | None = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    **_: Any,
) -> Any:
    """Each sample once, in order, in lists of ``batch_size``, shared out over the ranks."""
    if isinstance(dataset, dict):
        cfg = dataset
        dataset = get_detection_dataset_dicts(dataset_name or _named(cfg, "TEST"))
        num_workers = cfg["DATALOADER"]["NUM_WORKERS"] if num_workers is None else num_workers
    return _loader(
        MapDataset(dataset, mapper),
        batch=batch_size,
        training=False,
        workers=num_workers or 0,
        collate_fn=collate_fn or list,
        seed=0,
    )


def _named(cfg: Any, key: str) -> Sequence[str]:
    names: Sequence[str] = cfg["DATASETS"][key]
    if not names:
        raise ConfigError(
            f"DATASETS.{key} is empty: name registered data sets, or override the build_…_loader",
            origin_of(cfg["DATASETS"], key),
        )
    return names


def _share(total: int) -> int:
    ranks = dist.get_world_size()
    if total % ranks:
        raise ConfigError(f"a total batch of {total} cannot be shared by {ranks} processes")
    return total // ranks


def _loader(
    dataset: MapDataset, *, batch: int, training: bool, workers: int, collate_fn: Any, seed: int
) -> Any:
    kind = (
        {"type": "InfiniteSampler"} if training else {"type": "DefaultSampler", "round_up": False}
    )
    return build_dataloader(
        {
            "dataset": dataset,
            "batch_size": batch,
            "sampler": {**kind, "shuffle": training},
            "num_workers": workers,
            "collate_fn": collate_fn,
        },
        seed=seed,
        rank=dist.get_rank(),
        world=dist.get_world_size(),
    )

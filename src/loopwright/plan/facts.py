"""How long a run is and how much it sees: numbers from the config alone (pure)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from loopwright.build.default_hooks import completed
from loopwright.core import every, interval_at, val_due

NOMINAL = 100  # steps an epoch where nobody knows


@dataclass(frozen=True, slots=True)
class Facts:
    """Sizes of a run; ``None`` is unknown.

    ``nominal`` says that steps per epoch were assumed because the data was not counted.
    """

    by_epoch: bool
    max_epochs: int
    max_iters: int
    epoch_length: int | None
    nominal: bool
    samples: int | None
    batch_size: int | None
    world_size: int
    accumulation: int
    validations: tuple[int, ...]
    checkpoints: tuple[int, ...]
    checkpoint_unit: str

    @property
    def effective_batch(self) -> int | None:
        """Samples that one update sees."""
        if self.batch_size is None:
            return None
        return self.batch_size * self.world_size * self.accumulation

    @property
    def updates(self) -> int:
        """Optimizer steps of the whole run."""
        return math.ceil(self.max_iters / self.accumulation)

    @property
    def unit(self) -> str:
        return "epoch" if self.by_epoch else "iter"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "effective_batch": self.effective_batch, "updates": self.updates}


def steps_per_epoch(samples: int, batch: int, world: int, *, drop_last: bool = False) -> int:
    """Batches a rank sees in an epoch: samples are padded to equal shares first.

    >>> steps_per_epoch(100, 16, 2), steps_per_epoch(100, 16, 2, drop_last=True)
    (4, 3)
    """
    share = math.ceil(samples / world)
    return share // batch if drop_last else math.ceil(share / batch)


def read_facts(
    cfg: dict[str, Any], *, samples: int | None, world: int = 1, epoch_length: int | None = None
) -> Facts | None:
    """The sizes of the run that a config describes, or None where it does not train.

    ``samples`` is what the data set holds; ``epoch_length`` wins over counting.
    """
    train = cfg.get("train_cfg")
    if not isinstance(train, dict):
        return None
    loader = cfg.get("train_dataloader") or {}
    loader = loader if isinstance(loader, dict) else {}
    batch = _number(loader.get("batch_size"))
    length = epoch_length
    if length is None and samples is not None and batch:
        drop = bool(loader.get("drop_last", False))
        length = steps_per_epoch(samples, batch, world, drop_last=drop)
    by_epoch = is_by_epoch(train)
    nominal = length is None and by_epoch
    used = length if length is not None else NOMINAL
    epochs = _number(train.get("max_epochs")) or 1 if by_epoch else 1
    iters = epochs * used if by_epoch else _number(train.get("max_iters")) or 1
    wrapper = cfg.get("optim_wrapper")
    counts = wrapper.get("accumulative_counts", 1) if isinstance(wrapper, dict) else 1
    saved, unit = checkpoints_at(cfg, by_epoch=by_epoch, epochs=epochs, iters=iters)
    return Facts(
        by_epoch=by_epoch,
        max_epochs=epochs,
        max_iters=iters,
        epoch_length=used if by_epoch else length,
        nominal=nominal,
        samples=samples,
        batch_size=batch,
        world_size=world,
        accumulation=max(_number(counts) or 1, 1),
        validations=validations_at(cfg, last=epochs if by_epoch else iters, by_epoch=by_epoch),
        checkpoints=saved,
        checkpoint_unit=unit,
    )


def is_by_epoch(train_cfg: dict[str, Any]) -> bool:
    """Whether a training loop counts epochs: as ``by_epoch`` says, else by its name."""
    if "by_epoch" in train_cfg:
        return bool(train_cfg["by_epoch"])
    kind = train_cfg.get("type", "")
    name = str(getattr(kind, "dotted", kind))
    return "IterBased" not in name and ("max_epochs" in train_cfg or "max_iters" not in train_cfg)


def validations_at(cfg: dict[str, Any], *, last: int, by_epoch: bool) -> tuple[int, ...]:
    """After which epochs or iterations the run validates."""
    train = cfg["train_cfg"]
    if cfg.get("val_cfg") is None:
        return ()
    interval = _number(train.get("val_interval", 1 if by_epoch else 1000)) or 0
    begin = _number(train.get("val_begin", 1)) or 1
    dynamic = pairs_of(train.get("dynamic_intervals"))
    return tuple(
        k
        for k in range(1, last + 1)
        if val_due(k, interval=interval_at(k, interval, dynamic), begin=begin, last=last)
    )


def pairs_of(given: Any) -> list[tuple[int, int]]:
    """``dynamic_intervals`` as pairs of whole numbers; [] where it is something else.

    >>> pairs_of([[10, 1]]), pairs_of([10, 1]), pairs_of([(10, "1")])
    ([(10, 1)], [], [])
    """
    pairs = given if isinstance(given, list | tuple) else []
    whole = all(
        isinstance(pair, list | tuple) and len(pair) == 2 and None not in map(_number, pair)
        for pair in pairs
    )
    return [(start, interval) for start, interval in pairs] if whole else []


def checkpoints_at(
    cfg: dict[str, Any], *, by_epoch: bool, epochs: int, iters: int
) -> tuple[tuple[int, ...], str]:
    """When regular checkpoints are written, and in which unit."""
    hooks = cfg.get("default_hooks") or {}
    hook = completed("checkpoint", hooks.get("checkpoint", {}) if isinstance(hooks, dict) else {})
    if not isinstance(hook, dict):
        return (), "epoch"
    per_epoch = bool(hook.get("by_epoch", True))
    last = epochs if per_epoch else iters
    interval = _number(hook.get("interval", -1)) or -1
    begin, save_last = _number(hook.get("save_begin", 0)) or 0, hook.get("save_last", True)
    times = (
        k for k in range(1, last + 1) if every(k, interval, begin) or (save_last and k == last)
    )
    return tuple(times), "epoch" if per_epoch else "iter"


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

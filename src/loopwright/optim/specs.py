"""The `param_scheduler` of a config as specs: ranges in numbers, schedules made (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from copy import copy
from typing import Any, NamedTuple

from loopwright.optim.kinds import NAMES, bound, check_range, in_iterations, not_its_param
from loopwright.optim.schedules import INF, Schedule
from loopwright.optim.torch_kinds import (
    PER_UPDATE,
    TORCH,
    Moved,
    NotDrawnError,
    Numbers,
    torch_name,
)
from loopwright.optim.values import truth

_COMMON = ("type", "_scope_", "begin", "end", "by_epoch", "last_step", "verbose", "param_name")
_RUNS = ("type", "_scope_", "by_epoch", "monitor")
"""What of a torch scheduler's entry is the run's and not torch's."""


class Run(NamedTuple):
    """How long a run is: iterations, epochs, and iterations an epoch (None where unknown)."""

    max_iters: int | None
    max_epochs: int | None = None
    epoch_length: int | None = None

    def limit(self, *, by_epoch: bool) -> int | None:
        """The length of the run in the unit that a schedule counts."""
        return self.max_epochs if by_epoch else self.max_iters


class Spec(NamedTuple):
    """One entry of a `param_scheduler`, with everything worked out that needs no optimizer.

    `schedule` is None where the kind is not known, holds code or follows a metric; `options` are
    its own options in the unit it counts in, `given` is the entry as it was written. A schedule of
    torch may put the groups at a `start` of its own, count from a `base` of its own, and step
    once an update of the weights (`per_update`).
    """

    kind: str
    param: str | None
    begin: float
    end: float
    by_epoch: bool
    schedule: Schedule | None
    options: dict[str, Any]
    given: dict[str, Any]
    start: Numbers | None = None
    base: Numbers | None = None
    per_update: bool = False


def entries(cfg: Any) -> list[dict[str, Any]]:
    """The entries of a config in order; those of several optimizers one after another."""
    if cfg is None:
        return []
    if isinstance(cfg, dict) and "type" not in cfg:
        return [entry for part in cfg.values() for entry in entries(part)]
    return [entry for entry in (cfg if isinstance(cfg, list | tuple) else [cfg]) if entry]


def with_end(entry: dict[str, Any], run: Run) -> dict[str, Any]:
    """An entry whose `end`, if it has none, is the end of the run."""
    limit = run.limit(by_epoch=entry.get("by_epoch", True))
    if "end" in entry or limit is None:
        return entry
    ended = copy(entry)
    ended["end"] = limit
    return ended


def converted(entry: dict[str, Any], epoch_length: int | None) -> dict[str, Any]:
    """An entry with `convert_to_iter_based` and `epoch_length` worked in.

    >>> converted(dict(type="StepLR", step_size=2, end=3, convert_to_iter_based=True), 10)
    {'type': 'StepLR', 'step_size': 20, 'end': 30, 'by_epoch': False}
    """
    options = copy(entry)
    length = entry.get("epoch_length", epoch_length)
    kind = kind_of(entry)
    convert = truth(entry.get("convert_to_iter_based", False), f"{kind}: convert_to_iter_based")
    for done in ("epoch_length", "convert_to_iter_based"):
        if done in options:
            del options[done]
    if not convert:
        return options
    if not options.get("by_epoch", True):
        raise ValueError(
            f"{kind}: convert_to_iter_based is for schedules counted in epochs, "
            "but by_epoch is False"
        )
    options = in_iterations(options, length)
    options["by_epoch"] = False
    return options


def kind_of(entry: dict[str, Any]) -> str:
    """The bare name of an entry's type, whether it was written as a name, a path or a class."""
    kind = entry.get("type")
    name = str(getattr(kind, "dotted", None) or getattr(kind, "__name__", kind))
    return name.rpartition(".")[2]


def read(cfg: Any, run: Run) -> list[Spec]:
    """The specs of a `param_scheduler` config.

    Raises ValueError or TypeError for options that do not fit, as building would.
    """
    return [spec for entry in entries(cfg) for spec in _specs(entry, run)]


def _specs(entry: dict[str, Any], run: Run) -> list[Spec]:
    name = torch_kind(entry)
    return [_spec(entry, run)] if name is None else _torch_specs(name, entry)


def torch_kind(entry: dict[str, Any]) -> str | None:
    """The scheduler of torch that an entry means, or None where it is another's."""
    return torch_name(entry.get("type"), kind_of(entry), entry)


def _torch_specs(kind: str, entry: dict[str, Any]) -> list[Spec]:
    own = {k: v for k, v in entry.items() if k not in _RUNS}
    per_update = kind in PER_UPDATE
    by_epoch = False if per_update else bool(entry.get("by_epoch", True))
    moved: list[Moved | None] = [None]
    if kind in TORCH:
        make = TORCH[kind]
        options = bound(make, (), own, kind)
        with suppress(NotDrawnError):
            moved = [*make(**options)]
    return [
        Spec(kind, "lr", 0, INF, by_epoch, None, own, entry, per_update=per_update)
        if one is None
        else Spec(kind, one.param, 0, INF, by_epoch, one.schedule, own, entry, *one[2:], per_update)
        for one in moved
    ]


def _spec(entry: dict[str, Any], run: Run) -> Spec:
    kind = kind_of(entry)
    options = converted(with_end(entry, run), run.epoch_length)
    begin, end = options.get("begin", 0), options.get("end", INF)
    by_epoch = options.get("by_epoch", True)
    own = {k: v for k, v in options.items() if k not in _COMMON}
    if kind not in NAMES:
        return Spec(kind, "lr", begin, end, by_epoch, None, own, entry)
    check_range(begin, end, by_epoch, kind)
    make, param = NAMES[kind]
    if param is not None and "param_name" in options:
        raise TypeError(not_its_param(kind, param))
    schedule = make(begin, end, **bound(make, (), own, kind))
    return Spec(
        kind, param or options.get("param_name"), begin, end, by_epoch, schedule, own, entry
    )


def moving(specs: Iterable[Spec], param: str) -> list[Spec]:
    """The specs that move an entry."""
    return [spec for spec in specs if spec.param == param]

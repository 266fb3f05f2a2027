"""torch's schedulers that hold others, `SequentialLR` and `ChainedScheduler`, by config (no torch).

Their `schedulers` are a list of entries like any other, only that names mean torch's and that what
they count is said once, by the holder.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from loopwright.core.nearest import nearest_or_all
from loopwright.optim.kinds import bound
from loopwright.optim.torch_kinds import PER_UPDATE, PER_VALIDATION, TORCH, UNDRAWN

NESTED = ("ChainedScheduler", "SequentialLR")
_ELSEWHERE = {
    "by_epoch": "what it counts is the holder's to say",
    "monitor": "a scheduler that follows a metric has no place in another",
    "begin": "torch's schedulers begin where the holder puts them",
    "end": "torch's schedulers end where the holder puts them",
}


class Child(NamedTuple):
    """A held scheduler: its name in torch (or its dotted path, or class), and its options."""

    name: str
    kind: Any
    options: dict[str, Any]


def children_of(holder: str, options: dict[str, Any]) -> list[Child]:
    """The schedulers that a holder's options name; ValueError or TypeError where they do not fit.

    >>> linear = dict(type="LinearLR", total_iters=3)
    >>> [child.name for child in children_of("ChainedScheduler", dict(schedulers=[linear]))]
    ['LinearLR']
    """
    entries = options.get("schedulers")
    if not isinstance(entries, list | tuple) or not entries:
        raise TypeError(f"{holder} needs `schedulers`, a list of configs, got {entries!r}")
    children = [_child(holder, i, entry) for i, entry in enumerate(entries)]
    if holder == "SequentialLR":
        milestones = options.get("milestones")
        if not isinstance(milestones, list | tuple) or len(milestones) != len(children) - 1:
            raise ValueError(
                f"SequentialLR of {len(children)} schedulers needs {len(children) - 1} "
                f"milestones, got {milestones!r}"
            )
    return children


def _child(holder: str, number: int, entry: Any) -> Child:
    where = f"{holder}.schedulers[{number}]"
    if not isinstance(entry, dict) or "type" not in entry:
        raise TypeError(f"{where} must be a dict with a type, got {entry!r}")
    kind = entry["type"]
    written = str(getattr(kind, "dotted", None) or getattr(kind, "__name__", kind))
    name = written.rpartition(".")[2]
    if name in PER_VALIDATION:
        raise ValueError(f"{where}: {name} follows a metric, which {holder} does not hand on")
    known = [n for n in (*TORCH, *UNDRAWN) if n not in PER_VALIDATION]
    if name not in known and not isinstance(kind, type):
        raise ValueError(f"{where}: torch has no scheduler {name!r}{nearest_or_all(name, known)}")
    options = {k: v for k, v in entry.items() if k not in ("type", "_scope_")}
    for key, why in _ELSEWHERE.items():
        if key in options:
            raise ValueError(f"{where} has no `{key}`: {why}")
    if name in NESTED:
        children_of(name, options)
    elif name in TORCH:
        bound(TORCH[name], (), options, f"{where}: {name}")
    return Child(name, kind, options)


def counts_updates(name: str, options: dict[str, Any]) -> bool:
    """Whether a scheduler, or one that it holds, counts updates of the weights."""
    if name not in NESTED:
        return name in PER_UPDATE
    return any(counts_updates(child.name, child.options) for child in children_of(name, options))

"""The curves of a plan: what the schedules make of each distinct parameter group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from loopwright.config import ConfigError
from loopwright.optim.curves import curve
from loopwright.optim.specs import Run, kind_of, read
from loopwright.optim.specs import entries as entries_in
from loopwright.plan.facts import Facts
from loopwright.plan.finding import Finding
from loopwright.plan.optimizers import (
    SCHEDULED,
    accumulation_of,
    entries_of,
    optimizers_of,
    schedules_of,
)

POINTS_DRAWN = 400
_PLATEAUS = ("ReduceLROnPlateau", "ReduceOnPlateau")


@dataclass(frozen=True, slots=True)
class Curve:
    """One scheduled entry of one distinct group: values during the iterations ``at``."""

    entry: str
    label: str
    at: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """A distinct group: a label, and the entries that it starts with."""

    label: str
    entries: dict[str, Any]


Series = dict[str, list[list[float]]]
Simulate = Callable[[Any, list[dict[str, Any]], list[int], int], Series | None]
"""From a schedule, the starts, the iterations wanted and the accumulation to the series."""


def draw(
    values: dict[str, Any],
    facts: Facts | None,
    model: Any,
    findings: list[Finding],
    simulate: Simulate | None = None,
) -> list[Curve]:
    """The curves of all optimizers; what a schedule refuses becomes a finding.

    ``simulate`` finds what cannot be known from the config alone.
    """
    wrong = any(f.level == "error" and f.path.startswith(_NUMERIC) for f in findings)
    if facts is None or wrong:
        return []
    drawn: list[Curve] = []
    for name, wrapper in optimizers_of(values).items():
        cfg = schedules_of(values.get("param_scheduler"), name)
        starts = distinct(name, wrapper, model)
        if not starts or not all("lr" in s.entries for s in starts):
            continue
        if isinstance(cfg, dict) and "type" not in cfg:
            continue
        try:
            made = simulate if any(map(_of_code, undrawn(cfg, facts))) else None
            drawn += _curves(cfg, facts, starts, accumulation_of(wrapper), made)
        except (ValueError, TypeError, KeyError, ConfigError) as error:
            where = f"param_scheduler.{name}" if cfg is not values["param_scheduler"] else ""
            told = str(error.args[0]) if isinstance(error, KeyError) else str(error)
            findings.append(Finding("error", where or "param_scheduler", "", told))
    return drawn


_NUMERIC = ("param_scheduler", "optim_wrapper.optimizer.lr", "train_cfg.max")


def distinct(optimizer: str, wrapper: dict[str, Any], model: Any) -> list[Start]:
    """The groups of one optimizer that start from other values, each once."""
    base = entries_of(wrapper)
    where = f"{optimizer}: " if optimizer else ""
    if model is None:
        return [Start(optimizer or "all", base)]
    found: dict[tuple[str, ...], Start] = {}
    for group in model.groups:
        if group.optimizer != optimizer:
            continue
        entries = {**base, **{k: v for k, v in group.options.items() if k in SCHEDULED}}
        key = tuple(str(entries.get(k)) for k in SCHEDULED if k != "weight_decay")
        label = group.names[0] if group.names else "group"
        found.setdefault(key, Start(f"{where}{label}", entries))
    return list(found.values())


def _curves(
    cfg: Any, facts: Facts, starts: list[Start], accumulation: int, simulate: Simulate | None
) -> Iterator[Curve]:
    step = max(1, facts.max_iters // POINTS_DRAWN)
    at = sorted({*range(0, facts.max_iters, step), facts.max_iters - 1})
    read(cfg, Run(facts.max_iters, facts.max_epochs, facts.epoch_length))
    entries = [start.entries for start in starts]
    found = simulate(cfg, entries, at, accumulation) if simulate is not None else None
    series = found or curve(
        cfg,
        entries,
        max_iters=facts.max_iters,
        max_epochs=facts.max_epochs,
        epoch_length=facts.epoch_length,
        accumulation=accumulation,
        at=at,
    )
    for entry, rows in series.items():
        for start, row in zip(starts, rows, strict=True):
            yield Curve(entry, start.label, tuple(at), tuple(row))


def not_drawn(cfg: Any, facts: Facts | None, *, simulated: bool = False) -> list[str]:
    """Notes on schedules whose values nobody knows yet, so that no curve pretends to."""
    kinds = [k for k in undrawn(cfg, facts) if not (simulated and _of_code(k))]
    hint = {True: " (--import makes it and draws it)", False: ""}
    return [f"{kind} {_why(kind)}: the curves leave it out{hint[_of_code(kind)]}" for kind in kinds]


def undrawn(cfg: Any, facts: Facts | None) -> list[str]:
    """The kinds of schedules whose values the config alone does not tell."""
    kinds: dict[str, None] = {}
    run = Run(1, 1, 1) if facts is None else Run(facts.max_iters, facts.max_epochs, 1)
    for entry in entries_in(cfg):
        if not isinstance(entry, dict) or "type" not in entry:
            continue
        try:
            unknown = any(spec.schedule is None for spec in read(entry, run))
        except (ValueError, TypeError):
            continue  # a finding says what is wrong with it
        if unknown:
            kinds[kind_of(entry)] = None
    return list(kinds)


def _of_code(kind: str) -> bool:
    return not kind.startswith(_PLATEAUS)


def _why(kind: str) -> str:
    if not _of_code(kind):
        return "follows what validation will give"
    return "cannot be known before it is built"

"""Recorded schedules that we answer otherwise than MMEngine 0.10.7 does, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import ceil, inf
from typing import Any

from loopwright.optim.schedules import Linear, OneCycle, Poly
from loopwright.optim.specs import Run, Spec, entries, kind_of, read

Case = dict[str, Any]
Entry = dict[str, Any]

ANSWERED_BETTER: list[tuple[Callable[[Case], bool], int, str]] = [
    (
        lambda case: case["error"]["type"] == "ZeroDivisionError",
        0,
        "a factor of 0 leaves nothing to multiply: the schedule starts from the base instead",
    ),
    (
        lambda case: "OneCycleLR" in json.dumps(case["param_scheduler"]),
        1,
        "from its total_steps on a one-cycle schedule stays at its end",
    ),
]
"""Recorded exceptions that we answer with a value, how many steps before that begins, and why."""


def _kind(entry: Entry, *kinds: str) -> bool:
    return kind_of(entry).startswith(kinds)


def _is_whole(number: Any) -> bool:
    return isinstance(number, float) and number > 0 and number.is_integer()


BUILT_ANYWAY: list[tuple[Callable[[Entry], bool], str]] = [
    (lambda e: _kind(e, "Constant") and e.get("factor", 0) > 1, "a factor is a factor"),
    (
        lambda e: _kind(e, "CosineRestart") and not {"eta_min", "eta_min_ratio"} & set(e),
        "a cosine without a floor goes down to 0, with restarts too",
    ),
    (lambda e: _kind(e, "OneCycle") and e.get("pct_start") in (0, 1), "0 and 1 are shares"),
    (lambda e: _kind(e, "OneCycle") and _is_whole(e.get("total_steps")), "5.0 steps are 5"),
    (
        lambda e: _kind(e, "OneCycleParamScheduler") and e.get("param_name") != "lr",
        "weight decay and momentum can go up and down once, too",
    ),
]
"""Entries whose recorded error of building is none to us, and why."""

REFUSED: list[tuple[Callable[[Entry], bool], str]] = [
    (lambda e: e.get("T_max") is not None and e["T_max"] <= 0, "no cosine has no steps"),
    (lambda e: "step_size" in e and e["step_size"] <= 0, "no step comes every 0 steps"),
    (lambda e: min(e.get(k, 0) for k in ("patience", "cooldown")) < 0, "counts are not negative"),
    (lambda e: _kind(e, "ReduceOn") and e.get("factor", 0.1) < 0, "an lr is not negative"),
    (
        lambda e: _kind(e, "OneCycle") and "eta_max" not in e,
        "a peak of 0 by default learns nothing",
    ),
    (
        lambda e: _kind(e, "OneCycle") and min(_divisors(e)) <= 0,
        "a peak is a positive multiple of what the cycle starts from",
    ),
]
"""Entries that we refuse before the run though values were recorded, and why."""


def _divisors(entry: Entry) -> list[float]:
    return [entry.get("div_factor", 25.0), entry.get("final_div_factor", 1e4)]


def listed(case: Case, among: list[tuple[Callable[[Entry], bool], str]]) -> bool:
    return any(fits(e) for e in entries(case["param_scheduler"]) for fits, _ in among)


def refused(case: Case) -> bool:
    """Whether we refuse before the run what has recorded values: an entry, or a name too many.

    A dict of schedulers that names an optimizer which is not there moves nothing for it.
    """
    cfg, groups = case["param_scheduler"], case["groups"]
    by_name = isinstance(cfg, dict) and "type" not in cfg and isinstance(groups, dict)
    return listed(case, REFUSED) or (by_name and not set(cfg) <= set(groups))


def built_anyway(case: Case) -> bool:
    """Whether the recorded error of building a case is none to us.

    MMEngine divides by 0 where a one-cycle schedule rises in a single step.
    """
    by_zero: bool = case["build_error"]["type"] == "ZeroDivisionError"
    return listed(case, BUILT_ANYWAY) or (by_zero and not refused(case))


def answered_from(case: Case, epoch_of: int) -> float:
    """The first iteration whose recorded value is a defect of MMEngine's that we do not share.

    A one-cycle schedule that makes one step more than `total_steps` goes on past its end there
    (an lr below 0); so do linear and polynomial ones in a range with a fraction. Of two one-cycle
    schedules the second sets the peak of the first.
    """
    run = Run(case["max_iters"], case["max_epochs"], case["epoch_length"])
    specs = read(case["param_scheduler"], run)
    if sum(isinstance(spec.schedule, OneCycle) for spec in specs) > 1:
        return 0
    ends = [(_past_end(spec), spec) for spec in specs]
    return min((e * (epoch_of if s.by_epoch else 1) for e, s in ends if e < s.end), default=inf)


def _past_end(spec: Spec) -> float:
    schedule = spec.schedule
    if isinstance(schedule, OneCycle):
        return ceil(spec.begin) + schedule.total
    if isinstance(schedule, Linear | Poly) and schedule.total % 1:
        return ceil(spec.begin) + ceil(schedule.total)
    return inf


def mixes(case: Case) -> bool:
    """Whether another kind of schedule goes on with a saved one's state.

    MMEngine then follows the new kind with its own length in the range of the old one; we follow
    the new kind in the range of the old one, which is what "keep what was saved" says.
    """
    pairs = zip(*(entries(case[p]["param_scheduler"]) for p in ("phase1", "phase2")), strict=False)
    kinds = [(kind_of(old), kind_of(new)) for old, new in pairs]
    return any(o != n and n.startswith(_RANGED) and not o.startswith(_RANGED[:3]) for o, n in kinds)


_RANGED = ("Constant", "Linear", "Poly", "OneCycle")

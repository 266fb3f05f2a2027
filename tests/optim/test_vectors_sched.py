"""Schedules against numbers recorded from MMEngine 0.10.7: every case of every sched_*.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext, suppress
from itertools import compress
from math import inf, isnan
from typing import Any

import pytest
import torch
from sched_answers import ANSWERED_BETTER, answered_from, built_anyway, mixes, refused
from torch import nn

from loopwright.optim import OptimWrapper, OptimWrapperDict, build_param_scheduler, scale_lr
from loopwright.optim.curves import curve
from loopwright.optim.yolo import PPYOLOERule, YOLOv5Rule

Case = dict[str, Any]

RELATIVE = 1e-12
ABSOLUTE = 1e-16
"""What rounding leaves of an lr that became 0."""
IMPURE = {"build_error", "error", "val", "param_scheduler_hook", "auto_scale_lr", "phase1"}
"""What a curve from the config alone does not know."""
CURVE_LIMIT = 20_000
"""The live schedules replay every case; the pure curve those of up to so many iterations."""


def close(ours: float, theirs: float) -> bool:
    if ours == theirs or (isnan(ours) and isnan(theirs)):
        return True
    return abs(ours - theirs) <= max(RELATIVE * max(abs(ours), abs(theirs)), ABSOLUTE)


def make_optimizer(groups: list[dict[str, Any]], cfg: dict[str, Any]) -> torch.optim.Optimizer:
    first = groups[0]
    defaults = {**first, **{k: v for k, v in cfg.items() if k in first}}
    kinds = {"betas": torch.optim.AdamW, "momentum": torch.optim.SGD}
    kind = next((kinds[k] for k in kinds if k in first), torch.optim.Adadelta)
    made = [{**g, "params": [nn.Parameter(torch.zeros(1))]} for g in groups]
    return kind([_tuples(g) for g in made], **_tuples(defaults))


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if k == "betas" else v for k, v in options.items()}


def make_wrapper(groups: Any, cfg: dict[str, Any]) -> Any:
    if isinstance(groups, dict):
        return OptimWrapperDict(**{n: make_wrapper(g, cfg[n]) for n, g in groups.items()})
    return OptimWrapper(make_optimizer(groups, cfg))


def flat(schedulers: Any) -> list[Any]:
    if isinstance(schedulers, dict):
        return [s for some in schedulers.values() for s in some]
    return schedulers


def read(wrapper: OptimWrapper, field: str) -> list[float]:
    groups = wrapper.param_groups
    if field == "momentum" and "betas" in groups[0]:
        return [group["betas"][0] for group in groups]
    return [group[field] for group in groups]


class Replay:
    """A run of nothing but its schedules."""

    def __init__(self, part: Case, length: int, val: Case | None = None) -> None:
        self.part, self.length = part, length
        self.val: Case = part.get("val") or val or {}
        self.wrapper = make_wrapper(part["groups"], part["optimizer"])
        scale_lr(self.wrapper, part.get("auto_scale_lr"), part.get("batch_size", 1))
        self.schedulers = build_param_scheduler(
            part["param_scheduler"],
            self.wrapper,
            epoch_length=length,
            max_epochs=part["max_epochs"],
            max_iters=part["max_iters"],
        )
        self.epoch_of = length if part["loop"] == "epoch" else part["max_iters"]
        self.validations = 0

    def named(self) -> dict[str | None, OptimWrapper]:
        many = isinstance(self.wrapper, OptimWrapperDict)
        return dict(self.wrapper.items()) if many else {None: self.wrapper}

    def run(self, start: int, stop: int, wanted: Any, keep: Callable[[int], None]) -> None:
        some = flat(self.schedulers)
        by_iter = [s.step for s in some if not s.by_epoch]
        by_epoch = [s.step for s in some if s.by_epoch]
        plateaus = [s for s in some if getattr(s, "need_val_args", False)]
        for it in range(start, stop):
            if it in wanted:
                keep(it)
            for step in by_iter:
                step()
            if plateaus and self.part["loop"] == "iter":
                self._validate(it + 1, plateaus)
            if (it + 1) % self.epoch_of == 0:
                for step in by_epoch:
                    step()
            if plateaus and self.part["loop"] == "epoch":
                self._validate(it + 1, plateaus)

    def _validate(self, done: int, plateaus: list[Any]) -> None:
        val, by_epoch = self.val, self.part["loop"] == "epoch"
        if by_epoch and done % self.length:
            return
        count = done // self.length if by_epoch else done
        last = self.part["max_epochs"] if by_epoch else self.part["max_iters"]
        if count < val["val_begin"] or (count % val["val_interval"] and count != last):
            return
        for scheduler in plateaus:
            scheduler.step(val["metrics"][self.validations])
        self.validations += 1


def by_name(values: Any, wrappers: dict[str | None, OptimWrapper]) -> dict[str | None, Any]:
    return {None: values} if None in wrappers else values


def compare(
    got: dict[int, Any], values: Any, iters: list[int], name: str | None, until: float
) -> None:
    for field, curves in values.items():
        for k, it in enumerate(iters):
            if it >= until:
                break
            theirs = [c[k] for c in curves]
            ours = got[it][name][field]
            assert len(ours) == len(theirs)
            assert all(map(close, ours, theirs)), f"{field} in iteration {it}: {ours} != {theirs}"


def test_schedules_give_the_recorded_values(sched_case: tuple[Case, Case]) -> None:
    case, _ = sched_case
    if "phase1" in case:
        replay_resumed(case)
    elif "param_scheduler_hook" in case:
        replay_yolo(case)
    elif "build_error" in case and built_anyway(case):
        against = against_building(case)
        assert against is None or len(against) > 20, "a second mistake in the case is told"
    elif "build_error" in case or refused(case):
        with pytest.raises(Exception) as info:
            Replay(case, case["epoch_length"])
        assert not isinstance(info.value, AssertionError | AttributeError)
        assert len(str(info.value)) > 20
    else:
        replay(case)


def against_building(case: Case) -> str | None:
    try:
        Replay(case, case["epoch_length"])
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def replay(case: Case) -> None:
    run = Replay(case, case["epoch_length"])
    wrappers = run.named()
    values = by_name(case["values"], wrappers)
    fields = list(next(iter(values.values())))
    got: dict[int, Any] = {}

    def keep(it: int) -> None:
        got[it] = {n: {f: read(w, f) for f in fields} for n, w in wrappers.items()}

    until = answered_from(case, run.epoch_of)
    error = case.get("error")
    margins = [margin for fits, margin, _ in ANSWERED_BETTER if error and fits(case)]
    ends_early = bool(error) and not margins
    with suppress(KeyError) if ends_early else nullcontext():
        run.run(0, case["max_iters"], set(case["iters"]), keep)
    if error:
        assert margins or until < error["at_iter"] or max(got) + 1 == error["at_iter"], error
        until = min(until, error["at_iter"] - (margins or [0])[0] * run.epoch_of)
    for name in wrappers:
        compare(got, values[name], case["iters"], name, until)
    if "final" in case and until == inf:
        final = by_name(case["final"], wrappers)
        for name, wrapper in wrappers.items():
            for field in fields:
                assert all(map(close, read(wrapper, field), final[name][field]))


def replay_resumed(case: Case) -> None:
    """MMEngine goes on with what was saved, whatever the config says now: changed="keep"."""
    at, length = case["resume_at_iter"], case["epoch_length"]
    val = case.get("val")
    first, second = Replay(case["phase1"], length, val), Replay(case["phase2"], length, val)
    first_wrappers, second_wrappers = first.named(), second.named()
    before = by_name(case["values_phase1"], first_wrappers)
    after = by_name(case["values_phase2"], second_wrappers)
    fields = list(next(iter(before.values())) | next(iter(after.values())))

    def keeper(got: dict[int, Any], wrappers: dict[str | None, OptimWrapper], less: int) -> Any:
        def keep(it: int) -> None:
            state = {n: {f: read(w, f) for f in fields} for n, w in wrappers.items()}
            got[it - less] = state

        return keep

    got: dict[int, Any] = {}
    until = answered_from(case["phase1"] | {"epoch_length": length}, first.epoch_of)
    first.run(0, at, range(at), keeper(got, first_wrappers, 0))
    for name in first_wrappers:
        compare(got, before[name], list(range(at)), name, until)
    second.wrapper.load_state_dict(first.wrapper.state_dict())
    second.validations = first.validations
    for new, old in zip(flat(second.schedulers), flat(first.schedulers), strict=False):
        new.load_state_dict(json.loads(json.dumps(old.state_dict())), changed="keep")
    got = {}
    stop = case["phase2"]["max_iters"]
    until = min(until, answered_from(case["phase2"] | {"epoch_length": length}, second.epoch_of))
    second.run(at, stop, range(at, stop), keeper(got, second_wrappers, at))
    for name in second_wrappers:
        compare(got, after[name], list(range(stop - at)), name, 0 if mixes(case) else until - at)


def replay_yolo(case: Case) -> None:
    options = dict(case["param_scheduler_hook"])
    kinds = {"YOLOv5ParamSchedulerHook": YOLOv5Rule, "PPYOLOEParamSchedulerHook": PPYOLOERule}
    rule = kinds[options.pop("type")](**options)
    bases, length = case["groups"], case["epoch_length"]
    groups = [dict(base) for base in bases]
    wanted, got = set(case["iters"]), {}
    for it in range(case["max_iters"]):
        epoch = it // length
        for group, change in zip(groups, rule.before_iter(bases, it, epoch, length), strict=True):
            group.update(change)
        if it in wanted:
            got[it] = [dict(group) for group in groups]
        if (it + 1) % length == 0:
            for group, change in zip(groups, rule.after_epoch(bases, epoch), strict=True):
                group.update(change)
    for field, curves in case["values"].items():
        for group in range(len(groups)):
            for k, it in enumerate(case["iters"]):
                assert close(got[it][group][field], curves[group][k])


def test_the_pure_curve_is_the_recorded_one(sched_case: tuple[Case, Case]) -> None:
    case, _ = sched_case
    if IMPURE & set(case) or isinstance(case["groups"], dict):
        return
    if case["max_iters"] > CURVE_LIMIT or refused(case):
        return
    groups = list(case["groups"])
    defaults = {**groups[0], **{k: v for k, v in case["optimizer"].items() if k in groups[0]}}
    groups += [defaults] if len(groups) > 1 else []
    found = curve(
        case["param_scheduler"],
        groups,
        max_iters=case["max_iters"],
        max_epochs=case["max_epochs"],
        epoch_length=case["epoch_length"],
        at=case["iters"],
    )
    epoch_of = case["epoch_length"] if case["loop"] == "epoch" else case["max_iters"]
    until = answered_from(case, epoch_of)
    wanted = [it < until for it in case["iters"]]
    for field, rows in found.items():
        for ours, theirs in zip(rows, case["values"].get(field, []), strict=False):
            assert all(map(close, compress(ours, wanted), compress(theirs, wanted)))

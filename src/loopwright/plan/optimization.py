"""The optimizer's section and the schedules: names, options, and whether they fit the run."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from loopwright.core.nearest import did_you_mean
from loopwright.optim.checks import entry_findings, list_findings
from loopwright.optim.kinds import NAMES as SCHEDULES
from loopwright.optim.kinds import options_of
from loopwright.optim.options import (
    PARAMWISE,
    apex_not_offered,
    checked_clip,
    dtype_name,
    scaler_options,
)
from loopwright.optim.specs import kind_of, torch_kind
from loopwright.optim.torch_kinds import PER_VALIDATION, TORCH, UNDRAWN
from loopwright.optim.torch_nested import counts_updates
from loopwright.plan.facts import Facts
from loopwright.plan.finding import Finding, Node
from loopwright.plan.making import located
from loopwright.plan.names import NOT_FOUND
from loopwright.plan.optimizers import accumulation_of, optimizers_of, schedules_of
from loopwright.plan.signature import wrong_type
from loopwright.plan.structure import Lookup, check_typed, no_parts, unknown_keys
from loopwright.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    Registry,
)


def check_optimization(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """The optim wrapper's keys, the optimizer's arguments and the rules' names."""
    if not isinstance(root.value.get("optim_wrapper"), dict):
        return
    node = root.child("optim_wrapper")
    yield from _check_wrapper(node, lookup)
    if "optimizer" in node.value:
        return
    parts = [p for p in node.children() if isinstance(p.value, dict) and "optimizer" in p.value]
    if parts and "constructor" not in node.value:
        yield node.error("several optimizers need constructor='MultiOptimWrapperConstructor'")
    for part in parts:
        yield from _check_wrapper(part, lookup)


def _check_wrapper(node: Node, lookup: Lookup) -> Iterator[Finding]:
    value = node.value
    if isinstance(value.get("optimizer"), dict):
        optimizer = node.child("optimizer")
        own = tuple(k for k in optimizer.value if k not in TAKEN_OUT or "constructor" not in value)
        numbers = list(_numbers(optimizer, ("lr", "weight_decay", "momentum", "eps")))
        trial = None if numbers else _params
        yield from check_typed(
            optimizer, OPTIMIZERS, lookup, given=("params",), only=own, trial=trial
        )
        yield from numbers
    elif "optimizer" in value:
        yield from no_parts(node, ["optimizer"])
    elif "constructor" not in value and "optimizer" not in value and _looks_single(value):
        near = get_close_matches("optimizer", [str(k) for k in value], n=1)
        hint = f"; is {near[0]!r} meant?" if near else ""
        yield node.error(f"needs an optimizer{hint}")
    if "type" in value:
        yield from _known(node, OPTIM_WRAPPERS, lookup, "type")
    if "constructor" in value:
        yield from _known(node, OPTIM_WRAPPER_CONSTRUCTORS, lookup, "constructor")
    counts = value.get("accumulative_counts", 1)
    if isinstance(counts, bool) or not isinstance(counts, int) or counts < 1:
        yield node.error(
            f"must be a whole number of at least 1, got {counts!r}", "accumulative_counts"
        )
    constructor = str(value.get("constructor", "DefaultOptimWrapperConstructor"))
    if isinstance(value.get("paramwise_cfg"), dict) and constructor.endswith(
        "DefaultOptimWrapperConstructor"
    ):
        yield from unknown_keys(node.child("paramwise_cfg"), PARAMWISE)
        yield from _custom_keys(node.child("paramwise_cfg"))
    yield from _check_options(node)
    yield from _check_keys(node)


def _custom_keys(paramwise: Node) -> Iterator[Finding]:
    """The two rules of a custom key, misspelt; other words are options of the optimizer."""
    if isinstance(paramwise.value.get("custom_keys"), dict):
        for node in paramwise.child("custom_keys").children():
            if isinstance(node.value, dict):
                yield from unknown_keys(node, ("lr_mult", "decay_mult"), cutoff=0.75)


def _params() -> tuple[Any, ...]:
    torch = importlib.import_module("torch")
    return ([torch.nn.Parameter(torch.zeros(1, 1))],)


TAKEN_OUT = ("batch_size_per_gpu", "layer_decay_rate", "model_type")
"""Options that constructors take out of an optimizer's before it is built."""
WRAPPER = ("type", "optimizer", "accumulative_counts", "clip_grad")
AMP = ("loss_scale", "dtype", "use_fsdp", "max_skipped_steps")
_ITS_OWN = ("constructor", "paramwise_cfg", "modules", "_scope_")


def _check_keys(node: Node) -> Iterator[Finding]:
    """The keys of our own wrappers; a constructor of somebody's may take more of them."""
    kind = kind_of({"type": "OptimWrapper", **node.value})
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        return
    amp = [key for key in AMP if key in node.value and kind == "OptimWrapper"]
    for key in amp:
        yield node.error("is AmpOptimWrapper's, and this is an OptimWrapper", key)
    sure = "optimizer" in node.value and "constructor" not in node.value
    known = (*WRAPPER, *_ITS_OWN, *AMP)
    yield from unknown_keys(node, known, cutoff=0.0 if sure else 0.75)


def _known(node: Node, registry: Registry, lookup: Lookup, key: str) -> Iterator[Finding]:
    try:
        lookup(registry, node.value[key])
    except NOT_FOUND as error:
        yield node.error(str(error), key)


def _looks_single(value: dict[str, Any]) -> bool:
    return "type" in value or not all(isinstance(v, dict) for v in value.values())


def _check_options(node: Node) -> Iterator[Finding]:
    """The wrapper's own options, as building would refuse them."""
    if kind_of(node.value) == "ApexOptimWrapper":
        given = {k: node.value[k] for k in ("opt_level", "loss_scale") if k in node.value}
        yield node.error(apex_not_offered(**given), "type")
        return
    checks = {"clip_grad": checked_clip, "loss_scale": scaler_options, "dtype": dtype_name}
    for key, check in checks.items():
        if node.value.get(key) is None:
            continue
        try:
            check(node.value[key])
        except (TypeError, ValueError) as error:
            yield located(node, key, str(error), "error")


def _numbers(node: Node, keys: tuple[str, ...]) -> Iterator[Finding]:
    for key in keys:
        number = node.value.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int | float):
            yield node.error(f"must be a number, got {number!r}", key)
        elif not math.isfinite(number):
            yield node.error(f"must be a finite number, got {number!r}", key)
        elif number < 0:
            yield node.error(f"must not be negative, got {number!r}", key)


def check_schedules(root: Node, facts: Facts | None, lookup: Lookup) -> Iterator[Finding]:
    """Each schedule's name and options, and whether it fits the length of the run."""
    cfg = root.value.get("param_scheduler")
    if not isinstance(cfg, dict | list | tuple):
        return
    node = root.child("param_scheduler")
    optimizers = optimizers_of(root.value)
    if isinstance(cfg, dict) and "type" not in cfg:
        yield from _check_names(node, optimizers)
    single = isinstance(cfg, dict) and "type" in cfg
    parts = [node] if single else node.children()
    nested = [e for part in parts if isinstance(part.value, list | tuple) for e in part.children()]
    counts = {name: accumulation_of(w) for name, w in optimizers.items()} or {"": 1}
    wrong = list(_wrong_entries(node, [*parts, *nested]))
    yield from wrong
    for entry in [] if wrong else [*parts, *nested]:
        if isinstance(entry.value, dict) and "type" in entry.value:
            owner = "" if single else entry.path.split(".")[1]
            every = [counts[owner]] if owner in counts else sorted({*counts.values()})
            checks = (_check_schedule(entry, facts, lookup, root, accumulation=n) for n in every)
            yield from dict.fromkeys(finding for found in checks for finding in found)
        elif isinstance(entry.value, dict) and not isinstance(cfg, dict):
            yield entry.error("needs a 'type': which schedule?")
    if facts is not None and not facts.nominal and not wrong:
        limits = {"max_iters": facts.max_iters, "max_epochs": facts.max_epochs}
        for name in optimizers or ("",):
            own = schedules_of(cfg, name)
            for text in list_findings(own, **limits, epoch_length=facts.epoch_length):
                told = f"{name}: {text}" if name and own is not cfg else text
                yield root.warning(told, "param_scheduler")


def _wrong_entries(node: Node, entries: list[Node]) -> Iterator[Finding]:
    """Schedules that are none, and the words that all of them share with values of another kind."""
    if isinstance(node.value, list | tuple):
        yield from no_parts(node, range(len(node.value)))
    for entry in entries:
        if not isinstance(entry.value, dict):
            continue
        kind = entry.value.get("type", "")
        if isinstance(kind, bool | int | float):
            yield entry.error(f"type must be a name or a class, got {kind!r}", "type")
        for key in ("begin", "end"):
            if key in entry.value:
                yield from wrong_type(entry, key, int | float)


def _check_names(node: Node, optimizers: dict[str, Any]) -> Iterator[Finding]:
    """A dict of schedules without a type names optimizers, all of them and no others."""
    if not any(optimizers):
        near = get_close_matches("type", [str(k) for k in node.value], n=1)
        hint = f"; is {near[0]!r} meant?" if near else ""
        yield node.error(f"needs a 'type': which schedule?{hint}")
        return
    for name in node.value:
        if name not in optimizers:
            hint = did_you_mean(name, optimizers, cutoff=0.5)
            yield node.error(f"there is no optimizer {name!r}{hint}", name)
    for name in optimizers:
        if name not in node.value:
            yield node.error(f"has no schedules for the optimizer {name!r}")


def _check_schedule(
    node: Node, facts: Facts | None, lookup: Lookup, root: Node, *, accumulation: int
) -> Iterator[Finding]:
    kind, theirs = kind_of(node.value), torch_kind(node.value)
    if theirs is None and kind in SCHEDULES:
        known = (*options_of(SCHEDULES[kind][0]), *OF_ANY_SCHEDULE)
        unknown = list(unknown_keys(node, known))
        if unknown:
            yield from unknown
            return
    if theirs is not None:
        yield from _torch_rules(node, theirs)
    elif kind not in SCHEDULES:
        yield from _own_schedule(node, kind, lookup, root)
        return
    if facts is None or (facts.nominal and _counts_iterations(node.value)):
        return
    for level, text in entry_findings(
        node.value,
        max_iters=facts.max_iters,
        max_epochs=facts.max_epochs,
        epoch_length=facts.epoch_length,
        accumulation=accumulation,
    ):
        if level != "error" and facts.nominal and node.value.get("by_epoch") is False:
            continue  # without the data's length a schedule in iterations cannot be judged
        key = _told_key(node.value, text)
        yield node.error(text, key) if level == "error" else node.warning(text, key)


OF_ANY_SCHEDULE = (
    "type",
    "begin",
    "end",
    "by_epoch",
    "last_step",
    "verbose",
    "param_name",
    "convert_to_iter_based",
    "epoch_length",
    "_scope_",
)


def _counts_iterations(entry: dict[str, Any]) -> bool:
    """Whether an entry is counted in iterations, whose number a plan may not know."""
    return not entry.get("by_epoch", True)


def _told_key(entry: dict[str, Any], text: str) -> str:
    """The option that a message is about: named in it, or milestones in the singular."""
    own = [str(key) for key in entry if key != "type"]
    for key in [k for k in own if repr(k) in text] + own:
        if re.search(rf"\b{key.removesuffix('s')}s?\b", text):
            return key
    return "end" if "ends at" in text and "end" in entry else "type"


def _torch_rules(node: Node, kind: str) -> Iterator[Finding]:
    """torch's schedules do not say what they count, and one of them needs a metric."""
    if kind not in TORCH and kind not in UNDRAWN:
        hint = did_you_mean(kind, [*TORCH, *UNDRAWN])
        yield node.error(f"torch.optim.lr_scheduler has no {kind!r}{hint}", "type")
    elif kind in PER_VALIDATION:
        if not node.value.get("monitor"):
            yield node.error(f"{kind} needs monitor: the metric of validation it follows", "type")
    else:
        yield from _counted(node, kind)


def _counted(node: Node, kind: str) -> Iterator[Finding]:
    try:
        per_update = counts_updates(kind, node.value)
    except (ValueError, TypeError) as error:
        yield node.error(str(error), "schedulers")
        return
    if per_update and node.value.get("by_epoch"):
        yield node.error(f"{kind} counts updates of the weights, not epochs", "by_epoch")
    elif not per_update and "by_epoch" not in node.value:
        yield node.error(f"torch's {kind} does not say what it counts: give by_epoch", "type")


def _own_schedule(node: Node, kind: str, lookup: Lookup, root: Node) -> Iterator[Finding]:
    """A schedule of the user's own, or a misspelt one of ours."""
    try:
        target = lookup(PARAM_SCHEDULERS, node.value["type"])
    except NOT_FOUND:
        target = None
    near = lookup.nearest(kind, [*SCHEDULES, *TORCH, *UNDRAWN])
    if target is None and near:
        yield node.error(f"{kind!r} is not a known schedule; did you mean {near[0]!r}?", "type")

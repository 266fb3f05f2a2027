"""The optimizer's section and the schedules: names, options, and whether they fit the run."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from loopwright.optim.checks import entry_findings, list_findings
from loopwright.optim.kinds import NAMES as SCHEDULES
from loopwright.optim.specs import entries, kind_of
from loopwright.plan.facts import Facts
from loopwright.plan.finding import Finding, Node
from loopwright.plan.structure import Lookup, check_typed, unknown_keys
from loopwright.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    RefusedNameError,
    Registry,
    UnknownNameError,
)

PARAMWISE = (
    "custom_keys",
    "bias_lr_mult",
    "bias_decay_mult",
    "norm_decay_mult",
    "flat_decay_mult",
    "dwconv_decay_mult",
    "dcn_offset_lr_mult",
    "bypass_duplicate",
)


def check_optimization(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """The optim wrapper's keys, the optimizer's arguments and the rules' names."""
    if not isinstance(root.value.get("optim_wrapper"), dict):
        return
    node = root.child("optim_wrapper")
    yield from _check_wrapper(node, lookup)
    if "optimizer" not in node.value:
        for part in node.children():
            if isinstance(part.value, dict) and "optimizer" in part.value:
                yield from _check_wrapper(part, lookup)


def _check_wrapper(node: Node, lookup: Lookup) -> Iterator[Finding]:
    value = node.value
    if isinstance(value.get("optimizer"), dict):
        optimizer = node.child("optimizer")
        yield from check_typed(optimizer, OPTIMIZERS, lookup, given=("params",))
        yield from _numbers(optimizer, ("lr", "weight_decay", "momentum", "eps"))
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
    if isinstance(value.get("clip_grad"), dict):
        yield from _check_clip(node.child("clip_grad"))
    if kind_of({"type": "OptimWrapper", **value}) in ("OptimWrapper", "AmpOptimWrapper"):
        yield from unknown_keys(node, _WRAPPER, cutoff=0.75)


_WRAPPER = (
    "type",
    "optimizer",
    "constructor",
    "paramwise_cfg",
    "accumulative_counts",
    "clip_grad",
    "loss_scale",
    "dtype",
    "use_fsdp",
    "max_skipped_steps",
    "_scope_",
)
_CLIP = (
    "per",
    "type",
    "max_norm",
    "norm_type",
    "error_if_nonfinite",
    "foreach",
    "clip_value",
    "clip_factor",
    "eps",
)


def _known(node: Node, registry: Registry, lookup: Lookup, key: str) -> Iterator[Finding]:
    try:
        lookup(registry, node.value[key])
    except (UnknownNameError, RefusedNameError) as error:
        yield node.error(str(error), key)


def _looks_single(value: dict[str, Any]) -> bool:
    return "type" in value or not all(isinstance(v, dict) for v in value.values())


def _check_clip(node: Node) -> Iterator[Finding]:
    yield from unknown_keys(node, _CLIP)
    yield from _numbers(node, ("max_norm", "clip_value"))


def _numbers(node: Node, keys: tuple[str, ...]) -> Iterator[Finding]:
    for key in keys:
        number = node.value.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int | float):
            yield node.error(f"must be a number, got {number!r}", key)
        elif number < 0:
            yield node.error(f"must not be negative, got {number!r}", key)


def check_schedules(root: Node, facts: Facts | None, lookup: Lookup) -> Iterator[Finding]:
    """Each schedule's name and options, and whether it fits the length of the run."""
    cfg = root.value.get("param_scheduler")
    if not isinstance(cfg, dict | list | tuple):
        return
    node = root.child("param_scheduler")
    single = isinstance(cfg, dict) and "type" in cfg
    parts = [node] if single else node.children()
    nested = [e for part in parts if isinstance(part.value, list | tuple) for e in part.children()]
    for entry in [*parts, *nested]:
        if isinstance(entry.value, dict) and "type" in entry.value:
            yield from _check_schedule(entry, facts, lookup, root)
        elif isinstance(entry.value, dict) and not isinstance(cfg, dict):
            yield entry.error("needs a 'type': which schedule?")
    if facts is not None and not facts.nominal:
        limits = {"max_iters": facts.max_iters, "max_epochs": facts.max_epochs}
        for text in list_findings(cfg, **limits, epoch_length=facts.epoch_length):
            if not (facts.nominal and "iteration" in text):
                yield root.warning(text, "param_scheduler")


def _check_schedule(
    node: Node, facts: Facts | None, lookup: Lookup, root: Node
) -> Iterator[Finding]:
    kind = kind_of(node.value)
    dotted = str(getattr(node.value["type"], "dotted", node.value["type"]))
    yield from _torch_rules(node, kind, dotted)
    if kind not in SCHEDULES and not dotted.startswith("torch.") and kind not in _TORCH:
        yield from _own_schedule(node, kind, lookup, root)
        return
    if facts is None or (facts.nominal and _counts_iterations(node.value)):
        return
    for level, text in entry_findings(
        node.value,
        max_iters=facts.max_iters,
        max_epochs=facts.max_epochs,
        epoch_length=facts.epoch_length,
        accumulation=facts.accumulation,
    ):
        if level != "error" and facts.nominal and node.value.get("by_epoch") is False:
            continue  # without the data's length a schedule in iterations cannot be judged
        key = _told_key(node.value, text)
        yield node.error(text, key) if level == "error" else node.warning(text, key)


def _counts_iterations(entry: dict[str, Any]) -> bool:
    """Whether an entry is counted in iterations, whose number a plan may not know."""
    return not entry.get("by_epoch", True)


def _told_key(entry: dict[str, Any], text: str) -> str:
    """The option that a message is about: named in it, or milestones in the singular."""
    for key in entry:
        if key != "type" and (str(key) in text or (key == "milestones" and "milestone" in text)):
            return str(key)
    return "end" if "ends at" in text and "end" in entry else "type"


def _torch_rules(node: Node, kind: str, dotted: str) -> Iterator[Finding]:
    """torch's schedules do not say what they count, and one of them needs a metric."""
    if kind == "ReduceLROnPlateau" and not node.value.get("monitor"):
        yield node.error(
            "ReduceLROnPlateau needs monitor: the metric of validation it follows", "type"
        )
    ambiguous = dotted.startswith("torch.") or kind in _AMBIGUOUS
    if ambiguous and kind not in _FIXED and "by_epoch" not in node.value:
        yield node.error(f"torch's {kind} does not say what it counts: give by_epoch", "type")


_FIXED = ("OneCycleLR", "CyclicLR", "ReduceLROnPlateau")
_AMBIGUOUS = ("CosineAnnealingWarmRestarts", "LambdaLR", "MultiplicativeLR")


def _own_schedule(node: Node, kind: str, lookup: Lookup, root: Node) -> Iterator[Finding]:
    """A schedule of the user's own, or a misspelt one of ours."""
    try:
        target = lookup(PARAM_SCHEDULERS, node.value["type"])
    except (UnknownNameError, RefusedNameError):
        target = None
    near = get_close_matches(kind, [*SCHEDULES, *_TORCH], n=1)
    if target is None and near and not root.value.get("custom_imports"):
        yield node.error(f"{kind!r} is not a known schedule; did you mean {near[0]!r}?", "type")


_TORCH = (
    "CyclicLR",
    "ReduceLROnPlateau",
    "CosineAnnealingWarmRestarts",
    "LambdaLR",
    "MultiplicativeLR",
    "SequentialLR",
    "ChainedScheduler",
)


def not_drawn(cfg: Any) -> list[str]:
    """Notes on schedules whose values only torch knows, so that no curve pretends to."""
    kinds = [kind_of(e) for e in entries(cfg) if isinstance(e, dict) and "type" in e]
    foreign = [
        k for k, e in zip(kinds, entries(cfg), strict=False) if k not in SCHEDULES or "max_lr" in e
    ]
    return [f"{kind} is torch's own and not drawn" for kind in dict.fromkeys(foreign)]

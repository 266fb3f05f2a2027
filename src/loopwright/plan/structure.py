"""Every mistake in a config's structure: keys, names, arguments, types, files. Builds nothing."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from loopwright.build.default_hooks import KNOWN, completed
from loopwright.build.hooks import OF_ANY_HOOK
from loopwright.build.sets import named_sets
from loopwright.build.spec import TYPES, misspelt_keys
from loopwright.core import get_priority
from loopwright.core.nearest import did_you_mean
from loopwright.optim.specs import kind_of
from loopwright.plan.finding import Finding, Node
from loopwright.plan.names import NOT_FOUND, Names
from loopwright.plan.own import absent
from loopwright.plan.signature import misfits, wrong_type
from loopwright.plan.trial import Given, refused
from loopwright.registry import HOOKS, MODELS, Registry

Lookup = Names
SECTIONS = {
    "env_cfg": ("cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit", "num_threads", "device"),
    "randomness": ("seed", "diff_rank_seed", "deterministic"),
    "auto_scale_lr": ("enable", "base_batch_size"),
    "custom_imports": ("imports", "allow_failed_imports"),
}
VALUES: dict[str, dict[str, Any]] = {
    "env_cfg": {"cudnn_benchmark": bool, "num_threads": int | None, "resource_limit": int | None},
    "randomness": {"deterministic": bool, "diff_rank_seed": bool},
    "auto_scale_lr": {"enable": bool, "base_batch_size": int},
    "custom_imports": {"imports": str | list[str] | tuple[str, ...], "allow_failed_imports": bool},
}
"""What the keys of a section hold, beside what is checked elsewhere."""
EMA_HOOK = ("type", "priority", "ema_type", "strict_load", "begin_iter", "begin_epoch", "_scope_")
GROUPS = {
    "training": ("train_dataloader", "train_cfg", "optim_wrapper"),
    "validation": ("val_dataloader", "val_cfg", "val_evaluator"),
    "test": ("test_dataloader", "test_cfg", "test_evaluator"),
}


def check_keys(root: Node) -> Iterator[Finding]:
    """Misspelt and former keys, wrong types of whole sections, half-given groups."""
    for key, message in misspelt_keys(root.value):
        yield root.error(message, key)
    for key, kinds in TYPES.items():
        value = root.value.get(key)
        if value is not None and not isinstance(value, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            yield root.error(f"must be a {wanted}, got {value!r}", key)
    yield from no_parts(root, [key for key in PARTS_OF_A_RUN if key in root.value])
    yield from _sections(root)
    yield from _groups(root)


PARTS_OF_A_RUN = (
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "optim_wrapper",
    "param_scheduler",
    "val_evaluator",
    "test_evaluator",
    "visualizer",
    "log_processor",
    "data_preprocessor",
    "model_wrapper_cfg",
)


def no_parts(node: Node, keys: Iterable[Any]) -> Iterator[Finding]:
    """Plain values where a part of a run belongs, which is a dict (or, not from a file, an object).

    >>> print(*no_parts(Node({"val_cfg": "ValLoop"}, ""), ["val_cfg"]))
    error: val_cfg: must be a dict such as dict(type='ValLoop'), got 'ValLoop'
    """
    for key in keys:
        value = node.value[key]
        if isinstance(value, str):
            yield node.error(f"must be a dict such as dict(type={value!r}), got {value!r}", key)
        elif isinstance(value, bool | int | float):
            yield node.error(f"must be a dict with 'type', got {value!r}", key)


def _sections(root: Node) -> Iterator[Finding]:
    for name, allowed in SECTIONS.items():
        if isinstance(root.value.get(name), dict):
            yield from unknown_keys(root.child(name), allowed)
            yield from wrong_values(root.child(name), VALUES.get(name, {}))
    for message in absent(root.value):
        yield root.child("custom_imports").error(message, "imports")
    scale = root.value.get("auto_scale_lr")
    base = scale.get("base_batch_size", 1) if isinstance(scale, dict) else 1
    if type(base) is int and base < 1:
        yield root.child("auto_scale_lr").error(
            f"must be at least 1, got {base}", "base_batch_size"
        )


def wrong_values(node: Node, hints: dict[str, Any]) -> Iterator[Finding]:
    """Plain values of a section that are of another type; 0 and 1 are truths too."""
    for key, hint in hints.items():
        if key in node.value and not (hint is bool and node.value[key] in (0, 1)):
            yield from wrong_type(node, key, hint)


def unknown_keys(node: Node, allowed: tuple[str, ...], cutoff: float = 0.0) -> Iterator[Finding]:
    """Keys that nothing acts on; with a ``cutoff`` only those that are nearly a known one."""
    for key in node.value:
        if key in allowed:
            continue
        hint = did_you_mean(key, (*allowed, "_delete_"), cutoff=max(cutoff, 0.5))
        if hint or not cutoff:
            there = f"; there are: {', '.join(allowed)}"
            yield node.error(f"unknown key{hint or there}", key)


def _groups(root: Node) -> Iterator[Finding]:
    """Half-given groups; a config without a model is a fragment, of which nothing is asked."""
    if root.value.get("model") is None:
        return
    for what, keys in GROUPS.items():
        given = [key for key in keys if root.value.get(key) is not None]
        loop = root.value.get(keys[1])
        if isinstance(loop, dict) and loop.get("loss") and given == list(keys[:2]):
            continue  # its losses are all it wants
        if given and len(given) < len(keys):
            lacking = ", ".join(key for key in keys if key not in given)
            yield root.error(f"{what} also needs {lacking}", given[0])
    if root.value.get("param_scheduler") is not None and root.value.get("optim_wrapper") is None:
        yield root.error("there is no optim_wrapper whose values it could move", "param_scheduler")


def check_hooks(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """Names, arguments and priorities of hooks."""
    default = root.value.get("default_hooks")
    if isinstance(default, dict):
        node = root.child("default_hooks")
        misspelt = {f.path: f for f in unknown_keys(node, KNOWN, cutoff=0.75)}
        yield from misspelt.values()
        yield from no_parts(node, node.value)
        for name in node.value:
            if f"{node.path}.{name}" not in misspelt:
                yield from _check_hook(_completed(node.child(name), name), lookup)
    if isinstance(root.value.get("custom_hooks"), list | tuple):
        yield from no_parts(root.child("custom_hooks"), range(len(root.value["custom_hooks"])))
        for child in root.child("custom_hooks").children():
            yield from _check_hook(child, lookup)


def _completed(node: Node, name: str) -> Node:
    return Node(completed(name, node.value), node.path, node.inherited)


def _check_hook(node: Node, lookup: Lookup) -> Iterator[Finding]:
    if not isinstance(node.value, dict):
        return
    if "priority" in node.value:
        try:
            get_priority(node.value["priority"])
        except (ValueError, TypeError) as error:
            yield node.error(str(error), "priority")
    if node.value.get("on_error", "stop") not in ("stop", "disable"):
        yield node.error("must be one of stop, disable", "on_error")
    words = OF_ANY_HOOK if kind_of(node.value) != "EMAHook" else EMA_HOOK
    slips = {f.path: f for f in unknown_keys(node, words, cutoff=0.8)}
    rest = tuple(k for k in node.value if k not in OF_ANY_HOOK and f"{node.path}.{k}" not in slips)
    found = list(check_typed(node, HOOKS, lookup, only=rest, trial=tuple))
    told = {finding.path for finding in found} | set(slips)
    yield from slips.values()
    yield from found
    yield from (f for f in _check_passed_on(node, lookup) if f.path not in told)


def _check_passed_on(node: Node, lookup: Lookup) -> Iterator[Finding]:
    """What EMAHook does not take itself goes to the average that it names."""
    if kind_of(node.value) != "EMAHook":
        return
    average = node.value.get("ema_type", "ExponentialMovingAverage")
    rest = tuple(k for k in node.value if k not in EMA_HOOK)
    options = _only(node.value, rest)
    options["type"] = average
    passed = Node(options, node.path, node.inherited)
    for found in check_typed(passed, MODELS, lookup, given=("model",), trial=_some_model):
        if found.path == f"{node.path}.type" and "ema_type" in node.value:
            yield node.error(found.message, "ema_type")
        else:
            yield found


def _some_model() -> tuple[Any, ...]:
    return (importlib.import_module("torch.nn").Module(),)


def check_typed(
    node: Node,
    registry: Registry,
    lookup: Lookup,
    *,
    given: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    default: str | None = None,
    trial: Given | None = None,
) -> Iterator[Finding]:
    """A dict with ``type``: is the name known, do the arguments fit.

    With ``trial`` a part of ours is made too, from what it gives beside the arguments.
    """
    if not isinstance(node.value, dict):
        return
    kind = node.value.get("type", default)
    if kind is None:
        yield node.error(f"needs a 'type': which {registry.name}?")
        return
    try:
        target = lookup(registry, kind)
    except NOT_FOUND as error:
        yield node.error(str(error), "type")
        return
    if target is None:
        return
    seen = node if only is None else Node(_only(node.value, only), node.path, node.inherited)
    found = list(misfits(seen, target, given, optional=optional))
    if found and lookup.may_be_anothers(kind, target):
        yield node.note(
            f"{kind} is taken for {lookup.library}'s, not checked: ours "
            f"{found[0].message.partition(' ')[2].partition(';')[0].partition(' (it takes')[0]}",
            "type",
        )
        return
    yield from found
    if not found and trial is not None:
        yield from refused(seen, target, trial)


def _only(value: Any, keys: tuple[str, ...]) -> Any:
    """A copy of a config dict with some of its keys, which still knows where they were written."""
    copied = value.copy()
    for key in list(copied):
        if key not in keys:
            del copied[key]
    return copied


def check_files(root: Node) -> Iterator[Finding]:
    """Files and folders that the config names and that are not there."""
    value = root.value.get("load_from")
    if isinstance(value, str) and _lacks(value):
        yield root.error(f"{value} does not exist{nearest_file(value)}", "load_from")
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = root.value.get(key)
        several = None if key == "train_dataloader" else named_sets(loader)
        for node in root.child(key).children() if several else [root.child(key)] if loader else []:
            if isinstance(node.value, dict) and isinstance(node.value.get("dataset"), dict):
                yield from _dataset_files(node.child("dataset"))


def _dataset_files(node: Node) -> Iterator[Finding]:
    value = node.value
    base = value.get("data_root") or ""
    if isinstance(base, str) and base and _lacks(base):
        yield node.error(f"{base} does not exist{nearest_file(base)}", "data_root")
        return
    for key in ("ann_file", "img_dir", "ann_dir"):
        name = value.get(key)
        if isinstance(name, str) and name:
            path = os.path.join(base, name) if isinstance(base, str) else name
            if _lacks(path):
                yield node.error(f"{path} does not exist{nearest_file(path)}", key)
    if isinstance(value.get("dataset"), dict):
        yield from _dataset_files(node.child("dataset"))


def _lacks(path: str) -> bool:
    return "://" not in path and not os.path.exists(os.path.expanduser(path))


def nearest_file(path: str) -> str:
    """`; did you mean …?` for the file nearest to one that is not there."""
    folder, name = os.path.split(path.rstrip("/"))
    try:
        near = get_close_matches(name, os.listdir(folder or "."), n=1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(folder, near[0])!r}?" if near else ""

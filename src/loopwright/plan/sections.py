"""The sections that say how to train: loops, loaders, optimizer, schedules, evaluators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopwright.build.sets import evaluators_of, named_sets, set_options
from loopwright.config import ConfigError
from loopwright.optim.specs import kind_of
from loopwright.plan.facts import pairs_of
from loopwright.plan.finding import Finding, Node
from loopwright.plan.names import NOT_FOUND
from loopwright.plan.signature import misfits
from loopwright.plan.structure import Lookup, check_typed, no_parts, unknown_keys, wrong_values
from loopwright.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    LOOPS,
    METRICS,
    MODELS,
    TRANSFORMS,
)

BUILT_IN_LOOPS = {
    "EpochBasedTrainLoop": ("max_epochs", "val_begin", "val_interval", "dynamic_intervals"),
    "IterBasedTrainLoop": ("max_iters", "val_begin", "val_interval", "dynamic_intervals"),
    "ValLoop": ("fp16", "prefix", "loss", "sets"),
    "TestLoop": ("fp16", "prefix", "loss", "sets"),
}
LOADER = (
    "dataset",
    "sampler",
    "batch_sampler",
    "batch_size",
    "num_workers",
    "persistent_workers",
    "collate_fn",
    "drop_last",
    "pin_memory",
    "prefetch_factor",
    "num_batch_per_epoch",
    "worker_init_fn",
    "timeout",
    "multiprocessing_context",
    "disable_subprocess_warning",
    "shuffle",
    "on_bad_sample",
    "max_bad_samples",
    "bad_samples_file",
    "max_worker_restarts",
    "check_images",
    "pin_memory_device",
    "in_order",
    "generator",
)
LOADER_VALUES = {
    "persistent_workers": bool,
    "drop_last": bool,
    "pin_memory": bool,
    "num_batch_per_epoch": int | None,
    "prefetch_factor": int | None,
}
PARTS = ("backbone", "neck", "head", "encoder", "decoder", "data_preprocessor")
"""Keys of a model under which models stand, beside those that end with _head."""
_LENGTHS = {
    "EpochBasedTrainLoop": ("max_epochs", "max_iters"),
    "IterBasedTrainLoop": ("max_iters", "max_epochs"),
}
"""How a loop says how long it is, and how the other one does."""
_WHOLE = ("max_epochs", "max_iters", "val_begin", "val_interval")


def check_loops(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """``train_cfg``, ``val_cfg`` and ``test_cfg``: kind, keys and numbers."""
    for key in ("train_cfg", "val_cfg", "test_cfg"):
        if isinstance(root.value.get(key), dict):
            node = root.child(key)
            name = _loop_name(node.value, training=key == "train_cfg")
            if name and name not in BUILT_IN_LOOPS:
                yield from _own_loop(node, name, root, lookup)
            else:
                yield from _check_loop(node, name, training=key == "train_cfg")


def _loop_name(value: dict[str, Any], *, training: bool) -> str:
    """The bare name of a loop; '' where a training loop says neither type nor by_epoch."""
    if "type" in value:
        return kind_of(value)
    if not training:
        return "ValLoop"
    if "by_epoch" not in value:
        return ""
    return "EpochBasedTrainLoop" if value["by_epoch"] else "IterBasedTrainLoop"


def _own_loop(node: Node, name: str, root: Node, lookup: Lookup) -> Iterator[Finding]:
    """A loop of the user's own is checked by its signature, where it is known here."""
    try:
        target = lookup(LOOPS, node.value["type"])
    except NOT_FOUND as error:
        yield node.error(str(error), "type")
        return
    if target is not None:
        yield from misfits(node, target, ("runner", "dataloader", "evaluator"))
        return
    near = lookup.nearest(name, BUILT_IN_LOOPS)
    if near:
        yield node.error(f"{name!r} is not a known loop; did you mean {near[0]!r}?", "type")


def _check_loop(node: Node, name: str, *, training: bool) -> Iterator[Finding]:
    value = node.value
    if training and "type" in value and "by_epoch" in value:
        yield node.error("give either type or by_epoch, got both", "by_epoch")
    if not name:
        yield node.error("needs type='EpochBasedTrainLoop' (or 'IterBasedTrainLoop') or by_epoch")
        return
    known = ("type", "by_epoch", "_scope_", *BUILT_IN_LOOPS[name])
    needed, other = _LENGTHS.get(name, ("", ""))
    mistaken = other if other in value else ""
    if mistaken:
        yield node.error(f"{name} takes {needed!r} instead", mistaken)
    unknown = unknown_keys(node, known)
    yield from (f for f in unknown if not mistaken or f.path != f"{node.path}.{mistaken}")
    yield from _whole_numbers(node)
    yield from _intervals(node)
    if needed and needed not in value and not mistaken:
        yield node.error(f"{name} needs {needed!r}", "type")


def _intervals(node: Node) -> Iterator[Finding]:
    given = node.value.get("dynamic_intervals")
    if given and not pairs_of(given):
        yield node.error(
            f"must be pairs of a start and an interval such as [(10, 1)], got {given!r}",
            "dynamic_intervals",
        )


def _whole_numbers(node: Node) -> Iterator[Finding]:
    for key in _WHOLE:
        number = node.value.get(key)
        if key not in node.value:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            yield node.error(f"must be a whole number of at least 1, got {number!r}", key)


def check_loaders(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """Keys, numbers, sampler, data set and pipeline of each loader."""
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for node in loaders_of(root, key):
            yield from _check_loader(node, lookup)


def loaders_of(root: Node, key: str) -> list[Node]:
    """The loader that a key configures, or each of several."""
    value = root.value.get(key)
    if key != "train_dataloader" and named_sets(value) is not None:
        return [node for node in root.child(key).children() if isinstance(node.value, dict)]
    return [root.child(key)] if isinstance(value, dict) else []


def _check_loader(node: Node, lookup: Lookup) -> Iterator[Finding]:
    value = node.value
    yield from unknown_keys(node, LOADER)
    yield from wrong_values(node, LOADER_VALUES)
    for key, least in (("batch_size", 1), ("num_workers", 0)):
        number = value.get(key, least)
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            yield node.error(f"must be a whole number of at least {least}, got {number!r}", key)
    if value.get("persistent_workers") and value.get("num_workers", 0) == 0:
        yield node.warning("has no effect with num_workers=0", "persistent_workers")
    yield from no_parts(node, [key for key in ("dataset", "sampler") if key in value])
    if "dataset" not in value:
        yield node.error("needs a dataset")
    elif isinstance(value["dataset"], dict):
        yield from _check_dataset(node.child("dataset"), lookup)
    if isinstance(value.get("sampler"), dict):
        yield from check_typed(
            node.child("sampler"),
            DATA_SAMPLERS,
            lookup,
            given=("dataset",),
            optional=("seed", "rank", "world", "num_replicas", "data_source"),
        )
    if isinstance(value.get("batch_sampler"), dict):
        yield from check_typed(
            node.child("batch_sampler"),
            DATA_SAMPLERS,
            lookup,
            given=("sampler",),
            optional=("batch_size", "drop_last"),
        )
    for key in ("collate_fn", "worker_init_fn"):
        if value.get(key) is not None:
            yield from _check_function(node, key, lookup)


def _check_function(node: Node, key: str, lookup: Lookup) -> Iterator[Finding]:
    """A function by name, or a dict with its type; what it is called with is not known here."""
    named = node.child(key)
    if not isinstance(named.value, dict):
        named = Node({"type": named.value}, named.path, named.inherited)
    if isinstance(named.value.get("type", ""), str):
        found = check_typed(named, FUNCTIONS, lookup)
        yield from (f for f in found if " needs " not in f.message or "type" not in named.value)


def _check_dataset(node: Node, lookup: Lookup) -> Iterator[Finding]:
    yield from check_typed(node, DATASETS, lookup)
    value = node.value
    if isinstance(value.get("pipeline"), list | tuple):
        yield from no_parts(node.child("pipeline"), range(len(value["pipeline"])))
        for child in node.child("pipeline").children():
            yield from check_typed(child, TRANSFORMS, lookup, trial=tuple)
    if isinstance(value.get("dataset"), dict):
        yield from _check_dataset(node.child("dataset"), lookup)
    if isinstance(value.get("datasets"), list | tuple):
        for child in node.child("datasets").children():
            yield from _check_dataset(child, lookup)


def check_model(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """The model's own name and arguments; those of its parts where it is a chain."""
    model = root.value.get("model")
    if isinstance(model, dict):
        # What stands in the model itself wins over the run's own.
        from_run = root.value.get("data_preprocessor") is not None
        given = ("data_preprocessor",) if from_run and "data_preprocessor" not in model else ()
        yield from check_typed(root.child("model"), MODELS, lookup, given=given)
        yield from _check_inside(root.child("model"), lookup)
    elif isinstance(model, list):
        for child in root.child("model").children():
            yield from check_typed(child, MODELS, lookup)
    if isinstance(root.value.get("loss"), dict):
        yield from check_typed(root.child("loss"), MODELS, lookup)


def _check_inside(model: Node, lookup: Lookup) -> Iterator[Finding]:
    """The parts of a model that are models, at any depth; what they lack their owner may give."""
    for key, value in model.value.items():
        listed = value if isinstance(value, list | tuple) else [value]
        if _is_part(str(key)):
            yield from no_parts(model, [key])
        if not _is_part(str(key)) or not all(isinstance(v, dict) and "type" in v for v in listed):
            continue
        node = model.child(key)
        for part in node.children() if value is not listed[0] else [node]:
            found = check_typed(part, MODELS, lookup)
            yield from (
                f for f in found if not (f.path.endswith(".type") and " needs " in f.message)
            )
            yield from _check_inside(part, lookup)


def _is_part(key: str) -> bool:
    return key in PARTS or key.endswith(("_head", "_backbone"))


def check_evaluators(root: Node, lookup: Lookup) -> Iterator[Finding]:
    """Names and arguments of metrics; whether several sets have an evaluator and options each."""
    for mode in ("val", "test"):
        key, several = f"{mode}_evaluator", named_sets(root.value.get(f"{mode}_dataloader"))
        node = root.child(key) if root.value.get(key) is not None else None
        if several is not None:
            yield from _check_sets(root, mode, list(several))
        if node is None:
            continue
        by_name = several is not None and isinstance(node.value, dict) and "type" not in node.value
        for one in node.children() if by_name else [node]:
            yield from _check_metrics(one, lookup)


def _check_metrics(node: Node, lookup: Lookup) -> Iterator[Finding]:
    """One metric, or a list of them."""
    if isinstance(node.value, dict) and kind_of(node.value) == "Evaluator":
        yield from _check_metrics(node.child("metrics"), lookup) if "metrics" in node.value else ()
    elif isinstance(node.value, dict):
        yield from check_typed(node, METRICS, lookup, trial=tuple)
    elif isinstance(node.value, list | tuple):
        yield from no_parts(node, range(len(node.value)))
        for child in node.children():
            yield from _check_metrics(child, lookup)


def _check_sets(root: Node, mode: str, names: list[str]) -> Iterator[Finding]:
    loop, key = root.value.get(f"{mode}_cfg"), f"{mode}_evaluator"
    try:
        if root.value.get(key) is not None:
            evaluators_of(root.value[key], names)
    except ConfigError as error:
        yield root.error(str(error), key)
    try:
        set_options(loop.get("sets") if isinstance(loop, dict) else None, names)
    except ConfigError as error:
        yield root.child(f"{mode}_cfg").error(str(error), "sets")

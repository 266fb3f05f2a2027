"""What is probably wrong although every name is right: parts that do not fit one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopwright.build.default_hooks import completed
from loopwright.build.sets import evaluators_of, named_sets
from loopwright.config import ConfigError
from loopwright.core.nearest import did_you_mean
from loopwright.optim.specs import kind_of
from loopwright.plan.facts import Facts, pairs_of
from loopwright.plan.finding import Finding, Node
from loopwright.plan.names import foreign_scope

# What the built-in metrics produce, by the name that is typed; None: depends on the data.
METRICS: dict[str, tuple[str, ...]] = {
    "IoUMetric": ("aAcc", "mIoU", "mAcc", "mDice", "mFscore", "mPrecision", "mRecall"),
    "CocoMetric": tuple(
        f"coco/{what}_{name}"
        for what in ("bbox", "segm")
        for name in ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")
    ),
}


def check_fit(root: Node, facts: Facts | None) -> Iterator[Finding]:
    """Warnings, and monitors that no metric produces."""
    yield from check_monitors(root)
    if facts is None:
        return
    yield from _constant_rate(root)
    yield from _validation(root, facts)
    yield from _checkpoints(root, facts)
    yield from _logging(root, facts)
    yield from _scaling(root, facts)
    yield from _custom_epochs(root, facts)


# The libraries whose metrics of these names give the same.
ALIKE = {"CocoMetric": "mmdet", "IoUMetric": "mmseg", "Accuracy": "mmpretrain"}


def produced(evaluator: Any, library: str | None = None) -> list[str] | None:
    """The metric names of a validation, or None where somebody else's metric makes them.

    ``library`` is the one whose metrics the names mean, where it is not ours.

    >>> produced({"type": "Accuracy", "topk": (1, 5)})
    ['accuracy/top1', 'accuracy/top5']
    """
    listed = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    names: list[str] = []
    for one in listed:
        kind = (
            str(getattr(one.get("type"), "dotted", one.get("type")))
            if isinstance(one, dict)
            else ""
        )
        kind = kind.rpartition(".")[2]
        if library is not None and ALIKE.get(kind) != library:
            return None
        if kind == "Accuracy":
            topk = one.get("topk", (1,))
            prefix = one.get("prefix") or "accuracy"
            ks = topk if isinstance(topk, list | tuple) else (topk,)
            names += [f"{prefix}/top{k}" for k in ks]
        elif kind in METRICS:
            names += METRICS[kind]
        else:
            return None
    return names


def _validated(root: Node) -> list[str] | None:
    """The metrics that validation gives by every set; None where they cannot be known."""
    loop, evaluator = root.value.get("val_cfg"), root.value.get("val_evaluator")
    if not isinstance(loop, dict) or kind_of({"type": "ValLoop", **loop}) != "ValLoop":
        return None  # a loop of the user's own may give anything
    if loop.get("loss") or loop.get("prefix") or loop.get("sets"):
        return None
    library = foreign_scope(root.value)
    several = named_sets(root.value.get("val_dataloader"))
    if several is None:
        return produced(evaluator, library)
    try:
        each = evaluators_of(evaluator, list(several))
    except ConfigError:
        return None
    names: list[str] = []
    for name, one in each.items():
        found = produced(one, library)
        if found is None:
            return None
        names += [f"{name}/{metric}" for metric in found]
    return names


def check_monitors(root: Node) -> Iterator[Finding]:
    """Metrics that a hook or a schedule follows and that no validation will give."""
    names = _validated(root)
    for node, key, wanted in _monitoring(root):
        for monitor in [wanted] if isinstance(wanted, str) else wanted or ():
            if monitor == "auto":
                continue
            if root.value.get("val_cfg") is None:
                yield node.error(f"watches {monitor!r}, but the run never validates", key)
            elif names is not None and not _known_metric(str(monitor), names):
                hint = did_you_mean(monitor, [*names, *_last(names)], cutoff=0.4)
                yield node.error(
                    f"watches {monitor!r}, which no metric produces{hint} "
                    f"(there will be {', '.join(names)})",
                    key,
                )


def _known_metric(monitor: str, names: list[str]) -> bool:
    return monitor in names or monitor in _last(names)


def _last(names: list[str]) -> list[str]:
    return [name.rpartition("/")[2] for name in names]


def _monitoring(root: Node) -> Iterator[tuple[Node, str, Any]]:
    """Every part that names a metric to watch, or several: the part, the key, the metric."""
    hooks: list[Node] = []
    if isinstance(root.value.get("default_hooks"), dict):
        hooks += root.child("default_hooks").children()
    if isinstance(root.value.get("custom_hooks"), list | tuple):
        hooks += root.child("custom_hooks").children()
    for hook in hooks:
        for key in ("save_best", "monitor"):
            if isinstance(hook.value, dict) and hook.value.get(key):
                yield hook, key, hook.value[key]
    if isinstance(root.value.get("param_scheduler"), dict | list | tuple):
        for entry in _schedules(root.child("param_scheduler")):
            if entry.value.get("monitor"):
                yield entry, "monitor", entry.value["monitor"]
            elif kind_of(entry.value).startswith("ReduceOnPlateau"):
                yield entry, "type", "loss"  # what it follows unasked


def _schedules(node: Node) -> Iterator[Node]:
    """Every schedule of a run: one, a list, or some for each optimizer."""
    if isinstance(node.value, dict) and "type" in node.value:
        yield node
    elif isinstance(node.value, dict | list | tuple):
        for part in node.children():
            yield from _schedules(part)


def _constant_rate(root: Node) -> Iterator[Finding]:
    wrapper = root.value.get("optim_wrapper")
    if "param_scheduler" not in root.value and isinstance(wrapper, dict):
        yield root.warning(
            "there is none: the learning rate stays the same (None says that this is meant)",
            "param_scheduler",
        )


def _validation(root: Node, facts: Facts) -> Iterator[Finding]:
    train = root.child("train_cfg")
    last = facts.max_epochs if facts.by_epoch else facts.max_iters
    interval = train.value.get("val_interval")
    if root.value.get("val_cfg") is not None and isinstance(interval, int) and interval > last:
        yield train.warning(
            f"is {interval}, but the run ends at {facts.unit} {last}: it validates only at the end",
            "val_interval",
        )
    begin = train.value.get("val_begin")
    if isinstance(begin, int) and begin > last:
        yield train.warning(f"is {begin}, but the run ends at {facts.unit} {last}", "val_begin")
    late = [at for at, _ in pairs_of(train.value.get("dynamic_intervals")) if at >= last]
    if late:
        told = f"begins at {late[0]}, but the run ends at {facts.unit} {last}"
        yield train.warning(told, "dynamic_intervals")


def _checkpoints(root: Node, facts: Facts) -> Iterator[Finding]:
    hooks = root.value.get("default_hooks")
    hook = hooks.get("checkpoint") if isinstance(hooks, dict) else None
    if hook is None and isinstance(hooks, dict) and "checkpoint" in hooks:
        yield root.child("default_hooks").warning("is off: no checkpoint is written", "checkpoint")
    if not isinstance(hook, dict):
        return
    node = root.child("default_hooks").child("checkpoint")
    last = facts.max_epochs if facts.checkpoint_unit == "epoch" else facts.max_iters
    interval = completed("checkpoint", hook).get("interval", -1)
    if isinstance(interval, int) and interval > last:
        yield node.warning(
            f"is {interval}, but the run ends at {facts.checkpoint_unit} {last}: "
            "only the last checkpoint is written",
            "interval",
        )
    begin = hook.get("save_begin")
    if isinstance(begin, int) and begin > last:
        told = f"is {begin}, but the run ends at {facts.checkpoint_unit} {last}"
        yield node.warning(told, "save_begin")
    if not facts.by_epoch and facts.checkpoint_unit == "epoch":
        yield node.warning(
            "counts epochs, and a run of iterations is one epoch: only its end is saved; "
            "set by_epoch=False",
            "by_epoch" if "by_epoch" in hook else "interval",
        )


def _logging(root: Node, facts: Facts) -> Iterator[Finding]:
    hooks = root.value.get("default_hooks")
    hook = hooks.get("logger") if isinstance(hooks, dict) else None
    interval = hook.get("interval") if isinstance(hook, dict) else None
    if isinstance(interval, int) and interval > facts.max_iters:
        node = root.child("default_hooks").child("logger")
        told = f"is {interval}, but the run has {facts.max_iters} iterations"
        yield node.warning(told, "interval")


def _scaling(root: Node, facts: Facts) -> Iterator[Finding]:
    scale = root.value.get("auto_scale_lr")
    batch = facts.effective_batch
    if not isinstance(scale, dict) or batch is None:
        return
    base = scale.get("base_batch_size")
    if isinstance(base, int) and base != batch and not scale.get("enable"):
        yield root.child("auto_scale_lr").warning(
            f"the learning rate was found for a batch of {base}, this run has {batch}, "
            "and auto_scale_lr is off",
            "base_batch_size",
        )


def _custom_epochs(root: Node, facts: Facts) -> Iterator[Finding]:
    hooks = root.value.get("custom_hooks")
    if not isinstance(hooks, list | tuple):
        return
    for node in root.child("custom_hooks").children():
        for key in ("switch_epoch", "begin_epoch", "num_last_epochs"):
            value = node.value.get(key) if isinstance(node.value, dict) else None
            if facts.by_epoch and isinstance(value, int) and value > facts.max_epochs:
                yield node.warning(f"is {value}, but the run has {facts.max_epochs} epochs", key)
        yield from _patience(node, facts)


def _patience(node: Node, facts: Facts) -> Iterator[Finding]:
    """An early stop that waits for more validations than there are."""
    if not isinstance(node.value, dict) or kind_of(node.value) != "EarlyStoppingHook":
        return
    patience, count = node.value.get("patience"), len(facts.validations)
    if isinstance(patience, int) and patience >= count > 0:
        told = f"is {patience}, but there are only {count} validations: it never stops the run"
        yield node.warning(told, "patience")

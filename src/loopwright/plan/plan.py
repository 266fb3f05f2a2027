"""The plan of a run: everything that will happen and all that is wrong, before it starts."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from loopwright.config import ConfigError
from loopwright.optim.auto_scale import auto_scale
from loopwright.optim.curves import curve
from loopwright.optim.specs import Run, read
from loopwright.plan.facts import Facts, read_facts
from loopwright.plan.finding import Finding, Node
from loopwright.plan.fit import check_fit
from loopwright.plan.hook_order import PlannedHook, at_points, hook_order
from loopwright.plan.optimization import check_optimization, check_schedules, not_drawn
from loopwright.plan.sections import check_evaluators, check_loaders, check_loops, check_model
from loopwright.plan.structure import Lookup, check_files, check_hooks, check_keys
from loopwright.registry import HOOKS, RefusedNameError, Registry, UnknownNameError
from loopwright.registry.build import resolve
from loopwright.registry.scope import ROOT_ALIASES

POINTS_DRAWN = 400


@dataclass(frozen=True, slots=True)
class Curve:
    """One scheduled entry of one distinct group: values during the iterations ``at``."""

    entry: str
    label: str
    at: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a config will do. ``model`` is None where the model was not made."""

    facts: Facts | None
    hooks: tuple[PlannedHook, ...]
    curves: tuple[Curve, ...]
    findings: tuple[Finding, ...]
    model: Any = None
    notes: tuple[str, ...] = field(default=())

    @property
    def errors(self) -> list[Finding]:
        return [f for f in self.findings if f.level == "error"]

    @property
    def warnings(self) -> list[Finding]:
        return [f for f in self.findings if f.level == "warning"]

    @property
    def exit_code(self) -> int:
        """0: all well, 1: warnings, 2: errors."""
        return 2 if self.errors else 1 if self.warnings else 0


def make_plan(
    cfg: Any,
    *,
    with_model: bool = True,
    with_data: bool = True,
    imported: bool = False,
    world: int = 1,
    epoch_length: int | None = None,
) -> Plan:
    """The plan of a config (a Config or a dict); nothing is trained and nothing written.

    Torch is imported only for a config with a model, and not with ``with_model=False``.
    ``imported`` says that the modules of ``custom_imports`` were imported, so that a name unknown
    now is an error; otherwise such names are taken on trust.
    """
    values = getattr(cfg, "_cfg_dict", cfg)
    root = Node(values, "")
    planned = values
    torch_part = with_model and values.get("model") is not None
    lookup = _full_lookup(values, imported) if torch_part else _hooks_only(values, imported)
    notes: list[str] = []
    samples = _samples(values, lookup, notes) if torch_part and with_data else None
    facts = read_facts(values, samples=samples, world=world, epoch_length=epoch_length)
    if facts is not None and facts.nominal:
        notes.append(
            f"steps per epoch are not known: drawn with {facts.epoch_length} "
            "(say --epoch-length to give them)"
        )
    scope = foreign_scope(values)
    if scope is not None:
        notes.append(f"{scope} registers nothing here: names that only it knows are not checked")
    notes += not_drawn(values.get("param_scheduler"))
    findings = list(_findings(root, facts, lookup))
    model = None
    if torch_part and not any(f.level == "error" and _stops_model(f) for f in findings):
        planned = scaled(values, facts, notes)
        model = _model(planned, world, notes, findings, root)
    groups = _distinct(planned if torch_part else scaled(values, facts, notes), model)
    curves = _curves(values, facts, groups, findings)
    return Plan(
        facts, tuple(hook_order(root, lookup)), tuple(curves), tuple(findings), model, tuple(notes)
    )


def scaled(values: dict[str, Any], facts: Facts | None, notes: list[str]) -> dict[str, Any]:
    """The config with the learning rate that ``auto_scale_lr`` will make, which is noted."""
    scale, wrapper = values.get("auto_scale_lr"), values.get("optim_wrapper")
    batch = facts.effective_batch if facts is not None else None
    optimizer = wrapper.get("optimizer") if isinstance(wrapper, dict) else None
    if not isinstance(scale, dict) or not scale.get("enable") or not isinstance(optimizer, dict):
        return values
    before, base = optimizer.get("lr"), scale.get("base_batch_size")
    if batch is None or not isinstance(before, int | float) or not isinstance(base, int):
        return values
    lr = auto_scale(before, base, batch)
    notes.append(f"auto_scale_lr: lr {before:g} x {batch} / {base} = {lr:g}")
    return {**values, "optim_wrapper": {**(wrapper or {}), "optimizer": {**optimizer, "lr": lr}}}


def check(cfg: Any, *, imported: bool = True) -> list[Finding]:
    """All that is wrong with a config's structure, without making its model or data."""
    values = getattr(cfg, "_cfg_dict", cfg)
    facts = read_facts(values, samples=None)
    return list(_findings(Node(values, ""), facts, _full_lookup(values, imported)))


def _findings(root: Node, facts: Facts | None, lookup: Lookup) -> Any:
    yield from check_keys(root)
    yield from check_loops(root, lookup)
    yield from check_model(root, lookup)
    yield from check_loaders(root, lookup)
    yield from check_optimization(root, lookup)
    yield from check_schedules(root, facts, lookup)
    yield from check_hooks(root, lookup)
    yield from check_evaluators(root, lookup)
    yield from check_files(root)
    yield from check_fit(root, facts)


def _stops_model(finding: Finding) -> bool:
    return finding.path.startswith(("model", "optim_wrapper"))


# -- names ---------------------------------------------------------------------------------


def _customs(values: dict[str, Any]) -> bool:
    return bool(values.get("custom_imports"))


def _full_lookup(values: dict[str, Any], imported: bool) -> Lookup:
    def lookup(registry: Registry, kind: Any) -> Any:
        try:
            return resolve(kind, registry)
        except (UnknownNameError, RefusedNameError):
            if (_customs(values) and not imported) or (foreign and not _almost(registry, kind)):
                return None
            raise

    foreign = foreign_scope(values) is not None
    return lookup


def foreign_scope(values: dict[str, Any]) -> str | None:
    """The library whose names the config uses and that registers nothing here, if there is one."""
    scope = values.get("default_scope")
    if not isinstance(scope, str) or scope in ROOT_ALIASES:
        return None
    return None if any(r.scope == scope for r in HOOKS.root.family()) else scope


def _almost(registry: Registry, kind: Any) -> bool:
    """Whether a name is one of ours misspelt, rather than another library's."""
    name = str(getattr(kind, "dotted", kind))
    return bool(get_close_matches(name, registry.names(), n=1, cutoff=0.93))


def _hooks_only(values: dict[str, Any], imported: bool) -> Lookup:
    """Hooks are known without torch; other names are left unchecked."""
    full = _full_lookup(values, imported)
    return lambda registry, kind: full(registry, kind) if registry is HOOKS else None


# -- the parts that need torch ---------------------------------------------------------------


def _torch_part() -> Any:
    return importlib.import_module("loopwright.plan.model_part")


def _samples(values: dict[str, Any], lookup: Lookup, notes: list[str]) -> int | None:
    loader = values.get("train_dataloader")
    if not isinstance(loader, dict) or not loader.get("dataset"):
        return None
    return _try(lambda: int(_torch_part().count_samples(loader["dataset"])), "data set", notes)


def _model(
    values: dict[str, Any], world: int, notes: list[str], findings: list[Finding], root: Node
) -> Any:
    wrapper = values.get("optim_wrapper")
    if not isinstance(wrapper, dict) or "optimizer" not in wrapper:
        return None
    ema = any("EMA" in str(hook) for hook in values.get("custom_hooks") or ())
    part = _try(
        lambda: _torch_part().read_model(values["model"], wrapper, ema=ema, world=world),
        "model",
        notes,
    )
    if part is not None:
        node = root.child("optim_wrapper")
        findings += [node.warning(message) for message in part.findings]
    return part


def _try(act: Callable[[], Any], what: str, notes: list[str]) -> Any:
    """What cannot be made here (a name of the user's own, a missing file) is noted, not fatal."""
    try:
        return act()
    except Exception as error:
        notes.append(f"the {what} was not made: {error}")
        return None


# -- curves ----------------------------------------------------------------------------------


def _distinct(values: dict[str, Any], model: Any) -> list[tuple[str, dict[str, Any]]]:
    """A label and the scheduled entries of each group that starts from other values."""
    wrapper = values.get("optim_wrapper")
    optimizer = wrapper.get("optimizer") if isinstance(wrapper, dict) else None
    if not isinstance(optimizer, dict):
        return []
    base = {k: v for k, v in optimizer.items() if k in _ENTRIES}
    if model is None:
        return [("all", base)]
    found: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for group in model.groups:
        entries = {**base, **{k: v for k, v in group.options.items() if k in _ENTRIES}}
        key = tuple(str(entries.get(k)) for k in _ENTRIES if k != "weight_decay")
        label = group.names[0] if group.names else "group"
        found.setdefault(key, (label, entries))
    return list(found.values())


_ENTRIES = ("lr", "momentum", "betas", "weight_decay")


def _curves(
    values: dict[str, Any],
    facts: Facts | None,
    groups: list[tuple[str, dict[str, Any]]],
    findings: list[Finding],
) -> list[Curve]:
    cfg = values.get("param_scheduler")
    wrong = any(f.level == "error" and f.path.startswith(_NUMERIC) for f in findings)
    if facts is None or not groups or wrong or not all("lr" in g for _, g in groups):
        return []
    if isinstance(cfg, dict) and "type" not in cfg:
        return []
    step = max(1, facts.max_iters // POINTS_DRAWN)
    at = sorted({*range(0, facts.max_iters, step), facts.max_iters - 1})
    try:
        read(cfg, Run(facts.max_iters, facts.max_epochs, facts.epoch_length))
        series = curve(
            cfg,
            [entries for _, entries in groups],
            max_iters=facts.max_iters,
            max_epochs=facts.max_epochs,
            epoch_length=facts.epoch_length,
            at=at,
        )
    except (ValueError, TypeError, KeyError, ConfigError) as error:
        findings.append(Finding("error", "param_scheduler", "", str(error)))
        return []
    return [
        Curve(entry, label, tuple(at), tuple(values))
        for entry, rows in series.items()
        for (label, _), values in zip(groups, rows, strict=True)
    ]


_NUMERIC = ("param_scheduler", "optim_wrapper.optimizer.lr", "train_cfg.max")

__all__ = ["Curve", "Plan", "at_points", "check", "make_plan"]

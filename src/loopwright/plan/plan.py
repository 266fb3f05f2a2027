"""The plan of a run: everything that will happen and all that is wrong, before it starts."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loopwright.optim.specs import kind_of
from loopwright.plan.facts import Facts, read_facts
from loopwright.plan.finding import Finding, Node, without_echoes
from loopwright.plan.fit import check_fit
from loopwright.plan.hook_order import PlannedHook, at_points, hook_order
from loopwright.plan.making import Making
from loopwright.plan.names import Names
from loopwright.plan.optimization import check_optimization, check_schedules
from loopwright.plan.optimizers import optimizers_of, scaled
from loopwright.plan.rates import Curve, Simulate, draw, not_drawn
from loopwright.plan.sections import check_evaluators, check_loaders, check_loops, check_model
from loopwright.plan.settings import check_settings
from loopwright.plan.start import check_start, check_weights
from loopwright.plan.structure import check_files, check_hooks, check_keys
from loopwright.plan.yaml_numbers import explained


@dataclass(frozen=True, slots=True)
class Plan:
    """What a config will do. ``model`` is None where the model was not made."""

    facts: Facts | None
    hooks: tuple[PlannedHook, ...]
    curves: tuple[Curve, ...]
    findings: tuple[Finding, ...]
    model: Any = None
    notes: tuple[str, ...] = field(default=())
    modes: tuple[str, ...] = ("train", "val", "test")

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
    torch_part = with_model and values.get("model") is not None
    lookup = Names.of(values, imported=imported, hooks_only=not torch_part)
    making = Making(root, lookup.trusting, anothers=lookup.library is not None)
    notes = making.notes
    samples = _samples(values, making) if torch_part and with_data else None
    facts = read_facts(values, samples=samples, world=world, epoch_length=epoch_length)
    notes += _unknowns(facts, lookup)
    notes += not_drawn(values.get("param_scheduler"), facts, simulated=imported)
    checked = list(_findings(root, facts, lookup))
    findings = making.findings
    if any(f.level == "error" and f.path.startswith(_DATASET) for f in checked):
        findings.clear()  # the data set was not made for what is told already
    findings[:0] = checked
    planned = scaled(values, facts, notes)
    model = None
    if torch_part and not any(f.level == "error" and _stops_model(f) for f in findings):
        model = _model(planned, world, making)
    simulate = _simulation(facts, making) if imported else None
    curves = draw(planned, facts, model, findings, simulate)
    return Plan(
        facts=facts,
        hooks=tuple(hook_order(root, lookup)),
        curves=tuple(curves),
        findings=tuple(findings),
        model=model,
        notes=tuple(notes),
        modes=tuple(m for m in ("train", "val", "test") if values.get(f"{m}_cfg") is not None),
    )


def check(cfg: Any, *, imported: bool = True) -> list[Finding]:
    """All that is wrong with a config's structure, without making its model or data."""
    values = getattr(cfg, "_cfg_dict", cfg)
    facts = read_facts(values, samples=None)
    return list(_findings(Node(values, ""), facts, Names.of(values, imported=imported)))


def _unknowns(facts: Facts | None, lookup: Names) -> Iterator[str]:
    """What the plan had to assume."""
    if facts is not None and facts.nominal:
        yield (
            f"steps per epoch are not known: drawn with {facts.epoch_length} "
            "(say --epoch-length to give them)"
        )
    if lookup.library is not None:
        yield f"{lookup.library} registers nothing here: names that only it knows are not checked"


_DATASET = "train_dataloader.dataset"


def _findings(root: Node, facts: Facts | None, lookup: Names) -> Iterator[Finding]:
    yield from explained(root, without_echoes(_checks(root, facts, lookup)))


def _checks(root: Node, facts: Facts | None, lookup: Names) -> Iterator[Finding]:
    yield from check_keys(root)
    loops = list(check_loops(root, lookup))
    yield from loops
    if facts is not None and facts.epoch_length == 0:
        yield _no_batch(root.child("train_dataloader"), facts)
        facts = None
    if any(f.level == "error" and f.path.startswith("train_cfg") for f in loops):
        facts = None  # nothing is held against a length that is not meant
    yield from check_model(root, lookup)
    yield from check_loaders(root, lookup)
    yield from check_optimization(root, lookup)
    yield from check_schedules(root, facts, lookup)
    yield from check_hooks(root, lookup)
    yield from check_evaluators(root, lookup)
    yield from check_settings(root, lookup)
    yield from check_files(root)
    yield from check_start(root)
    yield from check_fit(root, facts)


def _stops_model(finding: Finding) -> bool:
    return finding.path.startswith(("model", "optim_wrapper"))


def _no_batch(loader: Node, facts: Facts) -> Finding:
    if not facts.samples:
        return loader.error("has no samples", "dataset")
    return loader.error(
        f"an epoch has no batch: {facts.samples} samples, batches of {facts.batch_size} on "
        f"{facts.world_size} processes, and drop_last drops the rest",
        "batch_size",
    )


# -- the parts that need torch ---------------------------------------------------------------


def _torch_part() -> Any:
    return importlib.import_module("loopwright.plan.model_part")


def _samples(values: dict[str, Any], making: Making) -> int | None:
    loader = values.get("train_dataloader")
    if not isinstance(loader, dict) or not loader.get("dataset"):
        return None
    count = _torch_part().count_samples
    return making.attempt(
        lambda: int(count(loader["dataset"])), "data set", "train_dataloader.dataset"
    )


def _model(values: dict[str, Any], world: int, making: Making) -> Any:
    """The model's groups and memory; rules that do not hold are errors with or without a model."""
    if not optimizers_of(values):
        return None
    part, wrapper = _torch_part(), values["optim_wrapper"]
    preprocessor = values.get("data_preprocessor")
    model = making.attempt(lambda: part.make_model(values["model"], preprocessor), "model", "model")
    ranks = world if _sharded(values) else 1
    compiled = values.get("compile")
    if model is not None and isinstance(compiled, dict):
        choose = importlib.import_module("loopwright.model.compiling").chosen_modules
        making.attempt(lambda: choose(model, compiled.get("modules")), "choice", "compile")
    read = making.attempt(
        lambda: part.read_model(model, wrapper, averaged=_averaged(values), ranks=ranks),
        "table of parameter groups",
        "optim_wrapper",
    )
    if read is not None:
        making.warn("optim_wrapper", read.findings)
    if model is not None:
        making.findings += check_weights(making.root, model)
    return read


def _simulation(facts: Facts | None, making: Making) -> Simulate:
    """Steps schedules through, where all is imported that they name."""

    def simulate(cfg: Any, starts: list[Any], at: list[int], accumulation: int) -> Any:
        made = importlib.import_module("loopwright.plan.simulated").simulated
        return making.attempt(
            lambda: made(cfg, starts, facts, at, accumulation), "curve", "param_scheduler"
        )

    return simulate


def _averaged(values: dict[str, Any]) -> bool:
    """Whether a hook keeps an averaged copy of the model."""
    default = values.get("default_hooks")
    hooks = [*(values.get("custom_hooks") or ())]
    hooks += default.values() if isinstance(default, dict) else ()
    return any("EMA" in kind_of(hook) for hook in hooks if isinstance(hook, dict))


def _sharded(values: dict[str, Any]) -> bool:
    wrapper = values.get("model_wrapper_cfg")
    return isinstance(wrapper, dict) and "FullySharded" in kind_of(wrapper)


__all__ = ["Curve", "Plan", "at_points", "check", "make_plan"]

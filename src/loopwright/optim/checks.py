"""What is probably wrong with a schedule, found before training (pure, no torch)."""

from __future__ import annotations

from typing import Any

from loopwright.optim.accumulate import updates
from loopwright.optim.schedules import Cosine, MultiStep, OneCycle, Poly
from loopwright.optim.specs import Run, Spec, entries, kind_of, read
from loopwright.optim.torch_kinds import total_steps_of

_WARMUPS = ("Constant", "QuadraticWarmup")


def schedule_findings(
    cfg: Any,
    *,
    max_iters: int | None,
    max_epochs: int | None = None,
    epoch_length: int | None = None,
    accumulation: int = 1,
) -> list[str]:
    """Messages on a `param_scheduler` that does not fit its run, each naming both numbers.

    >>> schedule_findings(dict(type="MultiStepLR", milestones=[8, 11]), max_iters=90,
    ...                   max_epochs=9, epoch_length=10)
    ['MultiStepLR: milestone 11 never comes, the run ends at epoch 9']
    """
    run = Run(max_iters, max_epochs, epoch_length)
    found: list[str] = []
    specs: list[Spec] = []
    for entry in entries(cfg):
        try:
            specs += read(entry, run)
        except (ValueError, TypeError) as error:
            found.append(f"{kind_of(entry)}: {_begins_late(entry, run) or error}")
    for spec in specs:
        messages = [*_overrun(spec, run, accumulation), *_of_one(spec, run, accumulation)]
        found += [f"{spec.kind}: {message}" for message in messages]
    return list(dict.fromkeys(found + _of_all(specs, run)))


def run_findings(cfg: Any, wrapper: Any, run: Run) -> list[str]:
    """`schedule_findings` of a run whose optim wrapper is built, for each of its optimizers.

    Schedulers that were built already are not looked at.
    """
    if cfg is None or not all(isinstance(entry, dict) for entry in entries(cfg)):
        return []
    several = getattr(wrapper, "optim_wrappers", None) or {"": wrapper}
    named = isinstance(cfg, dict) and "type" not in cfg
    found = []
    for name, one in several.items():
        every = getattr(one, "_accumulative_counts", 1)
        own = cfg.get(name) if named else cfg
        for text in schedule_findings(own, **run._asdict(), accumulation=every):
            found.append(f"{name}: {text}" if named else text)
    return list(dict.fromkeys(found))


def list_findings(
    cfg: Any,
    *,
    max_iters: int | None,
    max_epochs: int | None = None,
    epoch_length: int | None = None,
) -> list[str]:
    """The messages that concern all entries together, of a list whose entries are right."""
    run = Run(max_iters, max_epochs, epoch_length)
    try:
        return _of_all(read(cfg, run), run)
    except (ValueError, TypeError):
        return []


def entry_findings(
    entry: Any,
    *,
    max_iters: int | None,
    max_epochs: int | None = None,
    epoch_length: int | None = None,
    accumulation: int = 1,
) -> list[tuple[str, str]]:
    """(level, message) of one entry: what building would refuse is an error, else a warning."""
    run = Run(max_iters, max_epochs, epoch_length)
    try:
        specs = read(entry, run)
    except (ValueError, TypeError) as error:
        late = _begins_late(entry, run)
        text = str(error).removeprefix(f"{kind_of(entry)}").removeprefix(": ").strip()
        return [("warning", late)] if late else [("error", text)]
    errors = [("error", text) for spec in specs for text in _overrun(spec, run, accumulation)]
    warned = [("warning", text) for spec in specs for text in _of_one(spec, run, accumulation)]
    return list(dict.fromkeys([*errors, *warned]))


def _said(number: float) -> str:
    """A number as people write it: whole where it is whole."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def _begins_late(entry: dict[str, Any], run: Run) -> str | None:
    limit = run.limit(by_epoch=entry.get("by_epoch", True))
    begin = entry.get("begin", 0)
    if limit is None or begin < limit or "end" in entry:
        return None
    return f"begins at {begin}, when the run has ended at {limit}"


def _of_one(spec: Spec, run: Run, accumulation: int) -> list[str]:
    limit = run.limit(by_epoch=spec.by_epoch)
    unit = "epoch" if spec.by_epoch else "iteration"
    found = []
    if "epoch_length" in spec.given and not spec.given.get("convert_to_iter_based"):
        found.append("epoch_length does nothing without convert_to_iter_based=True")
    if limit is not None:
        found += _range(spec, limit, unit)
        found += _milestones(spec, limit, unit)
        found += _period(spec, min(limit, spec.end), unit)
    found += _one_cycle(spec, run, accumulation)
    if spec.given.get("convert_to_iter_based") and "gamma" in spec.options:
        found += _converted_gamma(spec, run)
    counts_iters = not spec.by_epoch and not spec.per_update
    if accumulation > 1 and counts_iters and spec.schedule is not None:
        found += _accumulation(spec, run, accumulation)
    return found


def _range(spec: Spec, limit: int, unit: str) -> list[str]:
    if spec.schedule is None:
        return []
    if spec.begin >= limit:
        return [f"begins at {unit} {_said(spec.begin)}, when the run has ended at {limit}"]
    if spec.by_epoch and limit == 1:
        return [f"counts epochs, and this run is one epoch: it never moves {spec.param}"]
    if "end" not in spec.given or spec.end <= limit:
        return []
    return [f"ends at {unit} {_said(spec.end)}, the run already at {limit}: it is cut off"]


def _milestones(spec: Spec, limit: int, unit: str) -> list[str]:
    if not isinstance(spec.schedule, MultiStep):
        return []
    found = []
    last = min(spec.end, limit)
    for milestone in spec.schedule.milestones:
        at = spec.begin + milestone
        if at >= last:
            who = "the run ends" if last == limit else "the schedule ends"
            counted = f" ({unit} {_said(at)})" if spec.begin else ""
            found.append(
                f"milestone {milestone}{counted} never comes, {who} at {unit} {_said(last)}"
            )
    if spec.begin and not found and spec.schedule.milestones:
        first = spec.schedule.milestones[0]
        falls = _said(spec.begin + first)
        found.append(f"milestones count from begin={_said(spec.begin)}: {first} is {unit} {falls}")
    return found


def _period(spec: Spec, last: float, unit: str) -> list[str]:
    """A cosine or polynomial whose length is not that of the range it acts in."""
    length = last - spec.begin
    if isinstance(spec.schedule, Cosine) and length > 0:
        period = spec.schedule.period
        if abs(period - length) < 1:
            return []
        span = f"its range of {_said(length)} {unit}s"
        if period < length:
            return [f"T_max={_said(period)} is shorter than {span}: it rises"]
        return [f"T_max={_said(period)} is longer than {span}: it is cut"]
    if isinstance(spec.schedule, Poly) and spec.schedule.total <= 0:
        return [f"has a range of {_said(length)} {unit}: it never moves"]
    return []


def _one_cycle(spec: Spec, run: Run, accumulation: int) -> list[str]:
    if isinstance(spec.schedule, OneCycle):
        length = min(spec.end, run.limit(by_epoch=spec.by_epoch) or spec.end) - spec.begin
        if spec.schedule.total != length:
            return [f"total_steps={spec.schedule.total}, but it makes {_said(length)} steps"]
    total, made = _cycle_steps(spec, run, accumulation)
    if made < total:
        return [f"total_steps={total}, but the run makes {made} updates: it does not come down"]
    return []


def _overrun(spec: Spec, run: Run, accumulation: int) -> list[str]:
    """torch's OneCycleLR raises in the step after its last."""
    total, made = _cycle_steps(spec, run, accumulation)
    if made <= total:
        return []
    return [f"total_steps={total}, but the run makes {made} updates: torch stops it there"]


def _cycle_steps(spec: Spec, run: Run, accumulation: int) -> tuple[int, int]:
    """The steps that a OneCycleLR of torch has, and those that the run makes of it."""
    if not (spec.per_update and spec.kind == "OneCycleLR" and run.max_iters):
        return 0, 0
    names = ("total_steps", "epochs", "steps_per_epoch")
    total = total_steps_of(*(spec.options.get(name) for name in names))
    return total, updates(accumulation, run.max_iters)


def _converted_gamma(spec: Spec, run: Run) -> list[str]:
    gamma = spec.options["gamma"]
    if "Exponential" not in spec.kind or not run.epoch_length:
        return []
    epoch = gamma**run.epoch_length
    said = f"an epoch of {run.epoch_length} multiplies by {epoch:.2g}"
    return [f"convert_to_iter_based makes gamma={gamma} act in every iteration: {said}"]


def _accumulation(spec: Spec, run: Run, accumulation: int) -> list[str]:
    last = min(spec.end, run.max_iters or spec.end) - spec.begin
    made = updates(accumulation, int(last))
    said = f"with accumulative_counts={accumulation} these are {made} updates"
    return [f"counts {_said(last)} iterations; {said}"]


def _of_all(specs: list[Spec], run: Run) -> list[str]:
    """Whether anything moves an entry to the end of the run."""
    found = []
    for param in dict.fromkeys(spec.param for spec in specs if spec.schedule is not None):
        some = [s for s in specs if s.param == param]
        if any(s.schedule is None for s in some) or run.max_iters is None:
            continue
        last = max(some, key=lambda s: _in_iterations(s, run))
        end = _in_iterations(last, run)
        if end < run.max_iters and not _is_warmup(last):
            found.append(
                f"{last.kind} is the last to move {param} and ends at iteration {_said(end)} of "
                f"{run.max_iters}: {param} stays where it is from there"
            )
    return found


def _in_iterations(spec: Spec, run: Run) -> float:
    if not spec.by_epoch:
        return spec.end
    if run.max_epochs is not None and spec.end >= run.max_epochs:
        return float("inf")
    return spec.end * (run.epoch_length or 1)


def _is_warmup(spec: Spec) -> bool:
    if spec.kind.startswith("Linear"):
        return bool(spec.options.get("end_factor", 1.0) == 1.0)
    return spec.kind.startswith(_WARMUPS)

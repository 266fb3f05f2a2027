"""torch's own schedulers as pure schedules, for plans: torch's arguments, read without torch.

torch counts from 0 at construction and moves by recurrence, as ours do; where both mean the same
the schedule is ours. A cycle may move the momentum too, as a second schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from loopwright.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    Schedule,
    Step,
)
from loopwright.optim.torch_schedules import Cycle, Phases, Polynomial, WarmRestarts

PER_UPDATE = ("CyclicLR", "OneCycleLR")
"""Stepped after each update of the weights, whatever accumulates."""

PER_VALIDATION = ("ReduceLROnPlateau",)
"""Stepped after each validation, by the metric `monitor`."""

OURS = (
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "StepLR",
)
"""Names that both have; bare they mean ours."""

Numbers = float | Sequence[float]


class NotDrawnError(ValueError):
    """What torch takes and a plan cannot draw: code, or another range for each group."""


class Moved(NamedTuple):
    """One schedule of a torch scheduler, and where it puts each group when it is made."""

    param: str
    schedule: Schedule
    start: Numbers | None = None
    base: Numbers | None = None


def constant(*, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> list[Moved]:
    """torch's ConstantLR."""
    return [Moved("lr", Constant(factor, total_iters))]


def linear(
    *,
    start_factor: float = 1.0 / 3,
    end_factor: float = 1.0,
    total_iters: int = 5,
    last_epoch: int = -1,
) -> list[Moved]:
    """torch's LinearLR."""
    return [Moved("lr", Linear(start_factor, end_factor, total_iters))]


def exponential(*, gamma: float, last_epoch: int = -1) -> list[Moved]:
    """torch's ExponentialLR."""
    return [Moved("lr", Exponential(gamma))]


def step(*, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> list[Moved]:
    """torch's StepLR."""
    return [Moved("lr", Step(step_size, gamma))]


def multi_step(
    *, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
) -> list[Moved]:
    """torch's MultiStepLR."""
    return [Moved("lr", MultiStep(tuple(milestones), gamma))]


def cosine(*, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> list[Moved]:
    """torch's CosineAnnealingLR."""
    return [Moved("lr", Cosine(eta_min, None, T_max))]


def polynomial(*, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> list[Moved]:
    """torch's PolynomialLR."""
    return [Moved("lr", Polynomial(total_iters, power))]


def warm_restarts(
    *, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
) -> list[Moved]:
    """torch's CosineAnnealingWarmRestarts."""
    for name, number in (("T_0", T_0), ("T_mult", T_mult)):
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {number!r}")
    return [Moved("lr", WarmRestarts(T_0, T_mult, eta_min))]


_MODES = ("triangular", "triangular2", "exp_range")


def cyclic(
    *,
    base_lr: Numbers,
    max_lr: Numbers,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Any = None,
    scale_mode: str = "cycle",
    cycle_momentum: bool = True,
    base_momentum: Numbers = 0.8,
    max_momentum: Numbers = 0.9,
    last_epoch: int = -1,
) -> list[Moved]:
    """torch's CyclicLR; the momentum falls while the lr rises."""
    if mode not in _MODES and scale_fn is None:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if scale_fn is not None:
        raise NotDrawnError("scale_fn is code, which a plan does not run")
    down = step_size_up if step_size_down is None else step_size_down
    shrink = {"triangular": 1.0, "triangular2": 0.5}.get(mode, gamma)
    shape = {"up": step_size_up, "down": down, "shrink": shrink, "by_step": mode == "exp_range"}
    moved = [_cycle("lr", base_lr, max_lr, shape, base_lr)]
    if cycle_momentum:
        moved.append(_cycle("momentum", base_momentum, max_momentum, shape, max_momentum))
    return moved


def _cycle(param: str, base: Numbers, top: Numbers, shape: dict[str, Any], start: Numbers) -> Moved:
    schedule = Cycle(_one(top), **shape, falls=param == "momentum")
    return Moved(param, schedule, start=start, base=base)


def _one(number: Numbers) -> float:
    """The number that all groups share; NotDrawnError where they do not."""
    if isinstance(number, int | float):
        return float(number)
    if len(set(number)) != 1:
        raise NotDrawnError(f"each group has a range of its own: {list(number)}")
    return float(number[0])


def one_cycle(
    *,
    max_lr: Numbers,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,
    base_momentum: Numbers = 0.85,
    max_momentum: Numbers = 0.95,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
    last_epoch: int = -1,
) -> list[Moved]:
    """torch's OneCycleLR; the momentum falls while the lr rises."""
    total = total_steps_of(total_steps, epochs, steps_per_epoch)
    levels: tuple[float, ...]
    momenta: tuple[float, ...]
    ends: tuple[float, ...]
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
    if not 0 <= pct_start <= 1:
        raise ValueError(f"pct_start must lie in [0, 1], got {pct_start}")
    fall = _one(base_momentum) / _one(max_momentum)
    top, last = pct_start * total - 1, 1 / final_div_factor
    ends, levels, momenta = (top, total - 1.0), (1.0, div_factor, last), (1.0, fall, 1.0)
    if three_phase:
        ends = (top, 2 * top, total - 1.0)
        levels, momenta = (1.0, div_factor, 1.0, last), (1.0, fall, 1.0, 1.0)
    linear = anneal_strategy == "linear"
    start = [peak / div_factor for peak in _each(max_lr)]
    moved = [Moved("lr", Phases(ends, levels, linear), start=start, base=start)]
    if cycle_momentum:
        schedule = Phases(ends, momenta, linear)
        moved.append(Moved("momentum", schedule, start=max_momentum, base=max_momentum))
    return moved


def total_steps_of(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """How many steps a OneCycleLR of torch may make."""
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
    total = total_steps if total_steps is not None else int(epochs or 0) * int(steps_per_epoch or 0)
    if not isinstance(total, int) or total <= 0:
        raise ValueError(f"total_steps must be a positive whole number, got {total!r}")
    return total


def _each(number: Numbers) -> list[float]:
    return [float(number)] if isinstance(number, int | float) else [float(n) for n in number]


TORCH: dict[str, Callable[..., list[Moved]]] = {
    "ConstantLR": constant,
    "CosineAnnealingLR": cosine,
    "CosineAnnealingWarmRestarts": warm_restarts,
    "CyclicLR": cyclic,
    "ExponentialLR": exponential,
    "LinearLR": linear,
    "MultiStepLR": multi_step,
    "OneCycleLR": one_cycle,
    "PolynomialLR": polynomial,
    "StepLR": step,
}
"""The schedulers of torch whose values follow from their arguments."""

UNDRAWN = (
    "ChainedScheduler",
    "LambdaLR",
    "MultiplicativeLR",
    "ReduceLROnPlateau",
    "SWALR",
    "SequentialLR",
)
"""Those that hold code or other schedulers, follow a metric, or start from wherever the lr is."""


def torch_name(kind: Any, bare: str, options: Any) -> str | None:
    """The torch scheduler that an entry's `type` means, or None where it is another's.

    >>> torch_name("OneCycleLR", "OneCycleLR", {"max_lr": 0.1}), torch_name("StepLR", "StepLR", {})
    ('OneCycleLR', None)
    """
    dotted = getattr(kind, "dotted", None)
    written = str(dotted or (getattr(kind, "__module__", "") if isinstance(kind, type) else kind))
    known = bare in TORCH or bare in UNDRAWN
    if written.startswith("torch."):
        return bare
    if bare == "OneCycleLR" and "max_lr" in options:
        return bare
    return bare if known and bare not in OURS else None

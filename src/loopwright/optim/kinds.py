"""Which schedule a name in a config means, and its options: one maker a kind, no torch.

A maker takes the range the schedule acts in and its own options, checks them, and gives the
schedule. `NAMES` says for every name of a config which maker it means and which entry it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from inspect import Parameter, signature
from typing import Any, NamedTuple

from loopwright.core.nearest import nearest_or_all
from loopwright.optim.schedules import (
    INF,
    Constant,
    Cosine,
    CosineOfNonZero,
    CosineRestart,
    Exponential,
    Linear,
    LinearInterval,
    MultiStep,
    OneCycle,
    Poly,
    QuadraticWarmup,
    Schedule,
    Step,
)
from loopwright.optim.values import number, numbers, truth

Maker = Callable[..., Any]


def constant(begin: float, end: float, *, factor: float = 1.0 / 3) -> Schedule:
    """Times `factor` in the range, except in its last step; `factor` >= 0."""
    if factor < 0:
        raise ValueError(f"factor must not be negative, got {factor}")
    return Constant(factor, end - begin - 1)


def linear(
    begin: float, end: float, *, start_factor: float = 1.0 / 3, end_factor: float = 1.0
) -> Schedule:
    """From `start_factor` to `end_factor` times the value, there in the last step of the range."""
    _check_share(start_factor=start_factor, end_factor=end_factor)
    return Linear(start_factor, end_factor, end - begin - 1)


def linear_interval(
    begin: float,
    end: float,
    *,
    start_factor: float = 1.0 / 3,
    end_factor: float = 1.0,
    interval: int = 1,
) -> Schedule:
    """As `linear`, moving every `interval` steps."""
    _check_share(start_factor=start_factor, end_factor=end_factor)
    return LinearInterval(start_factor, end_factor, end - begin, interval)


def exponential(begin: float, end: float, *, gamma: float) -> Schedule:
    """Times `gamma` at every step."""
    return Exponential(gamma)


def step(begin: float, end: float, *, step_size: int, gamma: float = 0.1) -> Schedule:
    """Times `gamma` every `step_size` steps, counted from `begin`."""
    if step_size <= 0:
        raise ValueError(f"step_size must be positive, got {step_size}")
    return Step(step_size, gamma)


def multi_step(
    begin: float, end: float, *, milestones: Sequence[int], gamma: float = 0.1
) -> Schedule:
    """Times `gamma` at each of the `milestones`, counted from `begin`."""
    return MultiStep(tuple(milestones), gamma)


def cosine(
    begin: float,
    end: float,
    *,
    T_max: float | None = None,
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
) -> Schedule:
    """A half cosine of `T_max` steps (the range where not given) down to `eta_min`."""
    floor = _floor(eta_min, eta_min_ratio)
    return Cosine(floor, eta_min_ratio, T_max or (end - begin))


def cosine_of_nonzero(
    begin: float,
    end: float,
    *,
    T_max: float | None = None,
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
) -> Schedule:
    """As `cosine`, leaving alone what was 0 before."""
    floor = _floor(eta_min, eta_min_ratio)
    return CosineOfNonZero(floor, eta_min_ratio, T_max or (end - begin))


def cosine_restart(
    begin: float,
    end: float,
    *,
    periods: Sequence[int],
    restart_weights: Sequence[float] = (1,),
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
) -> Schedule:
    """A cosine in each of `periods`, from `restart_weights` times the base."""
    if len(periods) != len(restart_weights):
        raise ValueError(
            f"periods and restart_weights must be of one length, "
            f"got {list(periods)} and {list(restart_weights)}"
        )
    floor = _floor(eta_min, eta_min_ratio)
    return CosineRestart(floor, eta_min_ratio, tuple(periods), tuple(restart_weights))


def poly(begin: float, end: float, *, power: float = 1.0, eta_min: float = 0.0) -> Schedule:
    """A polynomial down to `eta_min`, there in the last step of the range."""
    return Poly(eta_min, None, end - begin - 1, power)


def poly_ratio(
    begin: float,
    end: float,
    *,
    power: float = 1.0,
    eta_min: float = 0.0,
    eta_min_ratio: float | None = None,
) -> Schedule:
    """As `poly`, with a floor that may be a ratio of each group's base."""
    return Poly(eta_min, eta_min_ratio, end - begin - 1, power)


def quadratic_warmup(begin: float, end: float) -> Schedule:
    """Up from 0 to the base as the square of the step."""
    return QuadraticWarmup(end - begin)


def one_cycle(
    begin: float,
    end: float,
    *,
    eta_max: float | Sequence[float],
    total_steps: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> OneCycle:
    """Up to `eta_max` (one number, or one a group) and down, over `total_steps` (the range)."""
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
    if not 0 <= pct_start <= 1:
        raise ValueError(f"pct_start must lie in [0, 1], got {pct_start}")
    number(div_factor, "div_factor", above=0)
    number(final_div_factor, "final_div_factor", above=0)
    if total_steps is None and end == INF:
        raise ValueError("OneCycleLR needs `end` or `total_steps`")
    if total_steps is not None and (total_steps <= 0 or int(total_steps) != total_steps):
        raise ValueError(f"total_steps must be a positive whole number, got {total_steps}")
    total = end - begin if total_steps is None else int(total_steps)
    return OneCycle(total, pct_start, anneal_strategy, div_factor, final_div_factor, three_phase)


def _check_share(**factors: float) -> None:
    for name, factor in factors.items():
        if not 0 <= factor <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {factor}")


def _floor(eta_min: float | None, eta_min_ratio: float | None) -> float:
    if eta_min is not None and eta_min_ratio is not None:
        raise ValueError("give eta_min or eta_min_ratio, not both")
    return 0.0 if eta_min is None else eta_min


class Named(NamedTuple):
    """What a name in a config means."""

    make: Maker
    param: str | None


_KINDS: dict[str, Maker] = {
    "Constant": constant,
    "CosineAnnealing": cosine,
    "CosineRestart": cosine_restart,
    "Exponential": exponential,
    "Linear": linear,
    "MultiStep": multi_step,
    "Poly": poly,
    "QuadraticWarmup": quadratic_warmup,
    "Step": step,
}

NAMES: dict[str, Named] = {
    **{f"{kind}LR": Named(make, "lr") for kind, make in _KINDS.items()},
    **{f"{kind}Momentum": Named(make, "momentum") for kind, make in _KINDS.items()},
    **{f"{kind}ParamScheduler": Named(make, None) for kind, make in _KINDS.items()},
    "OneCycleLR": Named(one_cycle, "lr"),
    "OneCycleParamScheduler": Named(one_cycle, None),
    "CosineAnnealingWeightDecay": Named(cosine_of_nonzero, "weight_decay"),
    "LinearLrInterval": Named(linear_interval, "lr"),
    "PolyLRRatio": Named(poly_ratio, "lr"),
}

_LISTS = ("milestones", "periods", "restart_weights")
_LENGTHS = ("T_max", "interval", "step_size", "total_steps")
_NUMBERS = (
    "div_factor",
    "end_factor",
    "eta_min",
    "eta_min_ratio",
    "factor",
    "final_div_factor",
    "gamma",
    "pct_start",
    "power",
    "start_factor",
)

EPOCH_OPTIONS = ("T_max", "milestones", "periods", "step_size", "total_steps")
"""Options counted in epochs that `convert_to_iter_based` counts in iterations."""


def in_iterations(options: dict[str, Any], epoch_length: int | None) -> dict[str, Any]:
    """The options of an epoch-based schedule, counted in iterations.

    `begin` and `end` are cut to whole iterations; rates such as `gamma` stay what they are.

    >>> in_iterations({"begin": 0.5, "end": 3, "milestones": [1, 2], "gamma": 0.1}, 10)
    {'begin': 5, 'end': 30, 'milestones': [10, 20], 'gamma': 0.1}
    """
    if epoch_length is None or epoch_length <= 0:
        raise ValueError(
            f"convert_to_iter_based needs the number of iterations in an epoch, got {epoch_length}"
        )
    out = copy(options)
    for name in ("begin", "end"):
        if name in out and out[name] != INF:
            out[name] = int(out[name] * epoch_length)
    for name in EPOCH_OPTIONS:
        value = out.get(name)
        if isinstance(value, list | tuple):
            out[name] = [v * epoch_length for v in value]
        elif value is not None:
            out[name] = value * epoch_length
    return out


def options_of(make: Maker) -> dict[str, Any]:
    """The option names of a maker and their defaults (`Parameter.empty` where there is none)."""
    return {
        p.name: p.default for p in signature(make).parameters.values() if p.kind == p.KEYWORD_ONLY
    }


def bound(make: Maker, args: Sequence[Any], options: Mapping[str, Any], owner: str) -> dict:
    """Every option of a maker with its value; TypeError where one is unknown or missing."""
    known = options_of(make)
    given = dict(zip(known, args)) | dict(options)
    if unknown := [name for name in given if name not in known]:
        raise TypeError(f"{owner} has no option {unknown[0]!r}{nearest_or_all(unknown[0], known)}")
    values = known | given
    if missing := [name for name, value in values.items() if value is Parameter.empty]:
        raise TypeError(f"{owner} needs `{missing[0]}`")
    for name, value in values.items():
        _check_value(value, name, owner)
    return values


def _check_value(value: Any, name: str, owner: str) -> None:
    """TypeError or ValueError for an option that is no number, or no list of numbers."""
    said = f"{owner}: {name}"
    if value is None:
        return
    if name in _LISTS:
        numbers(value, said)
    elif name in _LENGTHS:
        number(value, said, above=0)
    elif name in _NUMBERS:
        number(value, said)


def not_its_param(kind: str, param: str) -> str:
    """What is said to a `param_name` where the name of the schedule says it already."""
    generic = kind.replace("WeightDecay", "").removesuffix("LR").removesuffix("Momentum")
    return f"{kind} moves the {param}: for another entry there is {generic}ParamScheduler"


def check_range(begin: Any, end: Any, by_epoch: Any, owner: str) -> None:
    """TypeError or ValueError for a range of steps that is none."""
    number(begin, f"{owner}: begin")
    number(end, f"{owner}: end")
    truth(by_epoch, f"{owner}: by_epoch")
    if end <= begin:
        raise ValueError(f"{owner}: end ({end}) must be after begin ({begin})")

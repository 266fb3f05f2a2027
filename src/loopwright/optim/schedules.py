"""Schedules as pure functions `(value, step, base) -> value`: one step of one entry of one group.

A schedule knows nothing of optimizers. Its state is the step alone: the value it is given is the
one it (and others: schedules chain through the value) left behind, `base` the value before any
schedule. What changes at a step is the same affine move for every group, so it is computed once
a step however many groups there are. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar, NamedTuple

INF = int(1e9)
"""The `end` of a schedule that never ends (MMEngine's number)."""


class Move(NamedTuple):
    """`value -> floor + scale * (value - floor) + lift * (base - floor)`."""

    scale: float
    lift: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What all schedules share; by itself it never moves anything.

    A schedule that is `affine` moves every group by the same `move`, towards its `floor`.
    """

    affine: ClassVar[bool] = True

    def move(self, step: int) -> Move | None:
        """The move at `step`, counted from where the schedule begins; None leaves the value."""
        return None

    def floor(self, base: float) -> float:
        """The value that the move shrinks towards."""
        return 0.0

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value after `step`, from the value after `step - 1`.

        >>> Step(step_size=2, gamma=0.5)(0.8, 2, base=0.8)
        0.4
        """
        move = self.move(step)
        return value if move is None else moved(value, base, move, self.floor(base))


def moved(value: float, base: float, move: Move, floor: float) -> float:
    """Apply one move; written so that a floor of 0 costs no rounding."""
    scale, lift = move
    if floor:
        value = (value - floor) * scale + floor if scale else floor
        return value + lift * (base - floor) if lift else value
    return value * scale + lift * base if lift else value * scale


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """Times `factor` at step 0, restored `total` steps later.

    >>> [Constant(0.5, total=2)(v, t, base=1.0) for v, t in [(1.0, 0), (0.5, 1), (0.5, 2)]]
    [0.5, 0.5, 1.0]
    """

    factor: float = 1.0 / 3
    total: float = 5

    def move(self, step: int) -> Move | None:
        if step == 0:
            return Move(self.factor)
        if step != self.total:
            return None
        return Move(1.0 / self.factor) if self.factor else Move(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Linear(Schedule):
    """From `start` times the value to `end` times it in `total` steps.

    A `start` of 0 leaves nothing to multiply, so the first step after it starts from the base.
    """

    start: float = 1.0 / 3
    end: float = 1.0
    total: float = 5

    def move(self, step: int) -> Move | None:
        if step == 0:
            return Move(self.start)
        if step > self.total:
            return None
        slope = self.end - self.start
        before = self.total * self.start + (step - 1) * slope
        if before:
            return Move(1.0 + slope / before)
        return Move(0.0, self.start + slope * step / self.total)


@dataclass(frozen=True, slots=True)
class LinearInterval(Schedule):
    """From the value `start` itself to `end` in `total` steps, moving every `interval` of them.

    As in MMagic, where `start` and `end` are values and not factors, except in step 0.
    """

    affine: ClassVar[bool] = False

    start: float = 1.0 / 3
    end: float = 1.0
    total: float = 5
    interval: int = 1

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value after `step`."""
        if step == 0:
            return value * self.start
        part = step // self.interval * self.interval / self.total
        return self.start + (self.end - self.start) * part


@dataclass(frozen=True, slots=True)
class Exponential(Schedule):
    """Times `gamma` at every step."""

    gamma: float

    def move(self, step: int) -> Move | None:
        return Move(self.gamma) if step else None


@dataclass(frozen=True, slots=True)
class Step(Schedule):
    """Times `gamma` every `step_size` steps."""

    step_size: int
    gamma: float = 0.1

    def move(self, step: int) -> Move | None:
        return Move(self.gamma) if step and step % self.step_size == 0 else None


@dataclass(frozen=True, slots=True)
class MultiStep(Schedule):
    """Times `gamma` at each milestone; one written twice multiplies twice, 0 multiplies at once."""

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def move(self, step: int) -> Move | None:
        times = self.milestones.count(step)
        return Move(self.gamma**times) if times else None


@dataclass(frozen=True, slots=True)
class Floored(Schedule):
    """A schedule that shrinks towards `eta_min`, or towards `eta_min_ratio` of each base."""

    eta_min: float = 0.0
    eta_min_ratio: float | None = None

    def floor(self, base: float) -> float:
        return self.eta_min if self.eta_min_ratio is None else base * self.eta_min_ratio


@dataclass(frozen=True, slots=True)
class Cosine(Floored):
    """Half a cosine from the value to its floor in `period` steps, and up again after that.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.
    """

    period: float = 1

    def move(self, step: int) -> Move | None:
        if step == 0:
            return None
        if (step - 1 - self.period) % (2 * self.period) == 0:
            return Move(1.0, (1 - cos(pi / self.period)) / 2)
        here = 1 + cos(pi * step / self.period)
        return Move(here / (1 + cos(pi * (step - 1) / self.period)))


@dataclass(frozen=True, slots=True)
class CosineOfNonZero(Cosine):
    """A cosine that leaves alone what was 0 before: groups without weight decay stay without."""

    affine: ClassVar[bool] = False

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value after `step`."""
        return Cosine.__call__(self, value, step, base) if base else value


@dataclass(frozen=True, slots=True)
class Poly(Floored):
    """A polynomial from the value to its floor in `total` steps."""

    total: float = 1
    power: float = 1.0

    def move(self, step: int) -> Move | None:
        if step == 0 or step > self.total:
            return None
        return Move((1 - 1 / (self.total - step + 1)) ** self.power)


@dataclass(frozen=True, slots=True)
class QuadraticWarmup(Schedule):
    """Up from 0 to the base as the square of the step, in `total` steps."""

    total: float = 1

    def move(self, step: int) -> Move | None:
        if step >= self.total:
            return None
        return Move(1.0 if step else 0.0, (2 * step + 1) / self.total**2)


@dataclass(frozen=True, slots=True)
class CosineRestart(Floored):
    """A cosine from `weight * base` in each period; stays where the last period left it."""

    affine: ClassVar[bool] = False

    periods: tuple[int, ...] = (1,)
    weights: tuple[float, ...] = (1,)

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value after `step`."""
        start = 0
        for period, weight in zip(self.periods, self.weights, strict=True):
            if step == start:
                return base * weight
            if step < start + period:
                return self._within(value, step - start, period, self.floor(base))
            start += period
        return value

    @staticmethod
    def _within(value: float, step: int, period: int, floor: float) -> float:
        here = 1 + cos(pi * step / period)
        return (value - floor) * (here / (1 + cos(pi * (step - 1) / period))) + floor


class Phase(NamedTuple):
    """A stretch of a one-cycle schedule: ends at step `end`, moving between two named values."""

    end: float
    start_name: str
    end_name: str


@dataclass(frozen=True, slots=True)
class OneCycle(Schedule):
    """Up to a peak and down below the start, once, over `total` steps; not chainable.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", 2018. The base is where the cycle starts, the peak `div_factor` times that.
    Past `total` the value stays at its end.

    >>> cycle = OneCycle(total=11, pct_start=0.3, anneal="linear", div_factor=25)
    >>> [round(cycle(0, t, base=0.04), 2) for t in (0, 2, 10, 99)]
    [0.04, 0.87, 0.0, 0.0]
    """

    affine: ClassVar[bool] = False

    total: float = 1
    pct_start: float = 0.3
    anneal: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def phases(self) -> tuple[Phase, ...]:
        """The stretches in order."""
        top = float(self.pct_start * self.total) - 1
        if not self.three_phase:
            return (Phase(top, "low", "peak"), Phase(self.total - 1, "peak", "last"))
        return (
            Phase(top, "low", "peak"),
            Phase(float(2 * self.pct_start * self.total) - 2, "peak", "low"),
            Phase(self.total - 1, "low", "last"),
        )

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value at `step`, whatever it was before."""
        last = base / self.final_div_factor
        levels = {"low": base, "peak": base * self.div_factor, "last": last}
        start = 0.0
        for end, first, second in self.phases():
            if step <= end:
                part = (step - start) / (end - start) if end != start else 1.0
                return self._between(levels[first], levels[second], part)
            start = end
        return levels["last"]

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (cos(pi * part) + 1)


def window(begin: float, end: float, count: int) -> bool:
    """Whether a schedule acts at its owner's `count`-th step (0 is the one made when built)."""
    return begin <= count < end

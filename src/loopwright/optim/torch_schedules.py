"""Schedules that only torch has, as pure functions: held to torch's numbers by tests."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, floor, pi
from typing import ClassVar

from loopwright.optim.schedules import Move, Schedule


@dataclass(frozen=True, slots=True)
class Polynomial(Schedule):
    """A polynomial down to 0 in `total` steps."""

    total: int = 5
    power: float = 1.0

    def move(self, step: int) -> Move | None:
        if step == 0 or step > self.total:
            return None
        return Move(((1.0 - step / self.total) / (1.0 - (step - 1) / self.total)) ** self.power)


@dataclass(frozen=True, slots=True)
class WarmRestarts(Schedule):
    """A cosine down to `eta_min` in a first period, then in periods `times` as long each.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    >>> restarts = WarmRestarts(first=2, times=2)
    >>> [round(restarts(0.0, t, base=1.0), 2) for t in range(7)]
    [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """

    affine: ClassVar[bool] = False

    first: int = 1
    times: int = 1
    eta_min: float = 0.0

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value at `step`, whatever it was before."""
        period = self.first
        while step >= period:
            step, period = step - period, period * self.times
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * step / period)) / 2


@dataclass(frozen=True, slots=True)
class Cycle(Schedule):
    """Up from the base by `reach` in `up` steps and down in `down`, again and again.

    `shrink` is what each cycle (or with `by_step` each step) multiplies the reach with. Smith,
    "Cyclical Learning Rates for Training Neural Networks", 2017.
    """

    affine: ClassVar[bool] = False

    top: float = 1.0
    up: float = 2000
    down: float = 2000
    shrink: float = 1.0
    by_step: bool = False
    falls: bool = False

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value at `step`, whatever it was before; with `falls` from the top downwards."""
        total, share = self.up + self.down, self.up / (self.up + self.down)
        cycle = floor(1 + step / total)
        place = 1.0 + step / total - cycle
        height = place / share if place <= share else (place - 1) / (share - 1)
        height *= self.shrink ** (step if self.by_step else cycle - 1)
        reach = (self.top - base) * height
        return self.top - reach if self.falls else base + reach


@dataclass(frozen=True, slots=True)
class Phases(Schedule):
    """From level to level, each reached at its step; past the last step torch refuses to go on.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", 2018.
    """

    affine: ClassVar[bool] = False

    ends: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    linear: bool = False

    def __call__(self, value: float, step: int, base: float) -> float:
        """The value at `step`, as a share of the base."""
        start = 0.0
        for number, end in enumerate(self.ends):
            if step <= end or number == len(self.ends) - 1:
                part = (step - start) / (end - start)
                one, other = (base * level for level in self.levels[number : number + 2])
                if self.linear:
                    return (other - one) * part + one
                return other + (one - other) / 2.0 * (1 + cos(pi * part))
            start = end
        return value

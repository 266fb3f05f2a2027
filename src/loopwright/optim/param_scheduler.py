"""A param scheduler applies one schedule to one entry (lr, momentum, …) of the groups."""

from __future__ import annotations

import warnings
from math import ceil
from typing import Any, ClassVar

from loopwright.core.nearest import nearest_or_all
from loopwright.log import print_log
from loopwright.optim.kinds import (
    Maker,
    bound,
    check_range,
    in_iterations,
    not_its_param,
    options_of,
)
from loopwright.optim.schedules import INF, Move, Schedule

_INTERNAL = {"optimizer", "schedule", "_floors", "_plain", "_make"}
_COUNTERS = {"last_step", "_global_step", "_last_value", "base_values", "verbose"}


class ParamScheduler:
    """Moves the entry `param_name` of every group of `optimizer` by one schedule.

    It acts in its steps `begin` <= step < `end`, counted in epochs or, with `by_epoch=False`, in
    iterations; its step 0 is made when it is built. All of its state is how many steps it made.
    A class of one's own gives the new values of all groups from `_get_value`, where
    `self.last_step` counts from `begin` and `self.base_values` are the values before any schedule.

    >>> class Optimizer:
    ...     param_groups = [{"lr": 1.0}]
    >>> class HalvingScheduler(ParamScheduler):
    ...     def _get_value(self):
    ...         return [base * 0.5**self.last_step for base in self.base_values]
    >>> scheduler = HalvingScheduler(Optimizer, "lr")
    >>> scheduler.step(); Optimizer.param_groups
    [{'lr': 0.5, 'initial_lr': 1.0}]
    """

    need_val_args = False

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(
                f"{type(self).__name__} needs an optimizer or an OptimWrapper, "
                f"got {type(optimizer).__name__}"
            )
        check_range(begin, end, by_epoch, type(self).__name__)
        self.optimizer = optimizer
        self.param_name = param_name
        self.begin, self.end, self.by_epoch = begin, end, by_epoch
        self.last_step, self._global_step, self.verbose = last_step, -1, verbose
        self.base_values = self._remember_bases(fresh=last_step == -1)
        self.schedule = self.make_schedule()
        self._prepare()
        self.step()

    def make_schedule(self) -> Any:
        """The schedule, from the attributes; made again when they change."""
        return Schedule()

    def _remember_bases(self, *, fresh: bool) -> list[Any]:
        name, initial = self.param_name, f"initial_{self.param_name}"
        bases = []
        for i, group in enumerate(self.optimizer.param_groups):
            wanted = name if fresh else initial
            if wanted not in group:
                raise KeyError(f"group {i} has no {wanted!r}{nearest_or_all(wanted, group)}")
            bases.append(group.setdefault(initial, group[name]))
        return bases

    def _prepare(self) -> None:
        floors = [self.schedule.floor(base) for base in self.base_values]
        self._floors = floors if any(floors) else None
        own_values = type(self)._get_value is not ParamScheduler._get_value
        tensors = any(hasattr(g[self.param_name], "fill_") for g in self.optimizer.param_groups)
        self._plain = self.schedule.affine and not own_values and not tensors

    def step(self) -> None:
        """Count one step, and move the values if it lies in the range."""
        self._global_step = count = self._global_step + 1
        if not self.begin <= count < self.end:
            return
        self.last_step += 1
        if not self._plain:
            self._write(self._get_value())
        elif (move := self.schedule.move(self.last_step)) is not None:
            self._shift(move)
        if self.verbose:
            self._tell()

    def _tell(self) -> None:
        """Say the values of all groups, as `verbose=True` asks for."""
        unit = "epoch" if self.by_epoch else "iteration"
        values = ", ".join(f"{value:.4e}" for value in self.get_last_value())
        print_log(f"{self.param_name} of {unit} {self._global_step}: {values}", "current")

    def _shift(self, move: Move) -> None:
        scale, lift = move
        groups, name = self.optimizer.param_groups, self.param_name
        if not lift and self._floors is None:
            for group in groups:
                group[name] *= scale
        elif not lift and scale:
            for group, floor in zip(groups, self._floors or ()):
                group[name] = (group[name] - floor) * scale + floor
        else:
            self._write(self._get_value())

    def _get_value(self) -> list[Any]:
        groups, schedule = self.optimizer.param_groups, self.schedule
        return [
            schedule(group[self.param_name], self.last_step, base)
            for group, base in zip(groups, self.base_values)
        ]

    def _write(self, values: list[Any]) -> None:
        name = self.param_name
        for group, value in zip(self.optimizer.param_groups, values):
            if hasattr(group[name], "fill_"):
                group[name].fill_(value)
            else:
                group[name] = value

    def get_last_value(self) -> list[Any]:
        """The values of all groups now."""
        return [group[self.param_name] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The count, and beside it the options, so that a changed config is noticed on resume."""
        kept = {k: v for k, v in self.__dict__.items() if k not in _INTERNAL}
        return kept | {"_last_value": [_number(v) for v in self.get_last_value()]}

    def load_state_dict(self, state_dict: dict[str, Any], *, changed: str = "continue") -> None:
        """Go on at the saved step; the values themselves come back with the optimizer's state.

        Where the config says something else than the saved run did, a warning names both, and
        `changed="continue"` follows the config from the saved values on (nothing jumps),
        `"keep"` goes on with what was saved.
        """
        if changed not in ("continue", "keep"):
            raise ValueError(f"changed must be 'continue' or 'keep', got {changed!r}")
        own = self.state_dict()
        saved = {k: v for k, v in state_dict.items() if k in own and k not in self._counters()}
        different = [k for k, v in saved.items() if not _same(v, own[k])]
        if different and changed == "continue":
            self._warn_changed(different, saved, own)
        if changed == "keep" or "by_epoch" in different:
            self.__dict__.update(saved)
        self._global_step = int(state_dict["_global_step"])
        self.last_step = int(state_dict["last_step"])
        if changed == "continue":
            self.last_step = self.steps_made(self._global_step)
        if len(state_dict.get("base_values", ())) == len(self.base_values):
            self.base_values = list(state_dict["base_values"])
        self.schedule = self.make_schedule()
        self._prepare()

    def steps_made(self, count: int) -> int:
        """How many of the owner's steps 0 … `count` lie in the range, less one."""
        return min(count, ceil(self.end) - 1) - ceil(self.begin) if count >= self.begin else -1

    def _counters(self) -> set[str]:
        """What a saved state holds that is no option."""
        return _COUNTERS

    def _warn_changed(self, names: list[str], saved: dict[str, Any], own: dict[str, Any]) -> None:
        said = ", ".join(f"{n} was {saved[n]!r}, is {own[n]!r}" for n in names)
        what = (
            "its steps were counted otherwise, so the saved schedule goes on"
            if "by_epoch" in names
            else "the values go on from the saved ones and follow the config from here"
        )
        warnings.warn(f"{type(self).__name__}: {said}; {what}", stacklevel=4)

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, epoch_length: int, **kwargs: Any) -> Any:
        """Built from options counted in epochs, stepping in iterations."""
        if not kwargs.pop("by_epoch", True):
            raise ValueError("convert_to_iter_based is for schedules counted in epochs")
        options = in_iterations(kwargs, epoch_length) | {"by_epoch": False}
        return cls(*args, **options)


class KindScheduler(ParamScheduler):
    """A param scheduler whose schedule and options are those of a maker in `kinds`."""

    make: Maker

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        *args: Any,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
        **options: Any,
    ) -> None:
        self.__dict__.update(bound(type(self).make, args, options, type(self).__name__))
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def make_schedule(self) -> Any:
        options = {name: self.__dict__[name] for name in options_of(type(self).make)}
        return type(self).make(self.begin, self.end, **options)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return list(a) == list(b)
    return bool(a == b)


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


class _Moves:
    """Makes a param scheduler move the entry `moves` of the groups, and no other."""

    moves: ClassVar[str]

    def __init__(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if "param_name" in kwargs:
            raise TypeError(not_its_param(type(self).__name__, self.moves))
        super().__init__(optimizer, self.moves, *args, **kwargs)  # type: ignore[call-arg]


class LRSchedulerMixin(_Moves):
    """Makes a param scheduler move the lr."""

    moves = "lr"


class WeightDecaySchedulerMixin(_Moves):
    """Makes a param scheduler move the weight decay; a group without any stays without."""

    moves = "weight_decay"


class MomentumSchedulerMixin(_Moves):
    """Makes a param scheduler move the momentum, or the first beta of Adam-like optimizers.

    Adam-like groups get an entry `momentum` that mirrors `betas[0]`.
    """

    moves = "momentum"
    optimizer: Any

    def __init__(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        groups = optimizer.param_groups
        self.use_betas = all("betas" in g for g in groups)
        if not self.use_betas and not all("momentum" in g for g in groups):
            raise ValueError("a momentum schedule needs an optimizer with `momentum` or `betas`")
        if self.use_betas:
            for group in groups:
                group.setdefault("momentum", group["betas"][0])
        super().__init__(optimizer, *args, **kwargs)

    def step(self, *metrics: Any) -> None:
        """Count one step, and move the momentum if it lies in the range."""
        super().step(*metrics)  # type: ignore[misc]
        if self.use_betas:
            for group in self.optimizer.param_groups:
                group["betas"] = (group["momentum"], *group["betas"][1:])

"""Reducing on a plateau: the one schedule that remembers, because it follows a metric."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from loopwright.core.nearest import nearest_or_all
from loopwright.optim.param_scheduler import (
    LRSchedulerMixin,
    MomentumSchedulerMixin,
    ParamScheduler,
)
from loopwright.optim.schedules import INF
from loopwright.optim.values import number, numbers, whole
from loopwright.registry import PARAM_SCHEDULERS


class Memory(NamedTuple):
    """What a plateau rule remembers between validations."""

    best: float
    bad_epochs: int = 0
    cooldown_left: int = 0


class Rule(NamedTuple):
    """When a metric has stopped getting better.

    >>> rule = Rule("less", patience=1)
    >>> memory = rule.start()
    >>> for loss in (2.0, 2.0, 2.0):
    ...     memory, reduce = rule.judge(memory, loss)
    >>> reduce
    True
    """

    rule: str = "less"
    patience: int = 10
    threshold: float = 1e-4
    threshold_rule: str = "rel"
    cooldown: int = 0

    def start(self) -> Memory:
        """The memory before the first validation."""
        return Memory(inf if self.rule == "less" else -inf)

    def better(self, value: float, best: float) -> bool:
        """Whether a value beats the best by the threshold; NaN never does."""
        sign = -1 if self.rule == "less" else 1
        if self.threshold_rule == "rel":
            return sign * value > sign * (best * (1 + sign * self.threshold))
        return sign * value > sign * (best + sign * self.threshold)

    def judge(self, memory: Memory, value: float) -> tuple[Memory, bool]:
        """The memory after a validation, and whether it is time to reduce."""
        best, bad, cooldown = memory
        if self.better(value, best):
            best, bad = value, 0
        else:
            bad += 1
        if cooldown > 0:
            cooldown, bad = cooldown - 1, 0
        if bad > self.patience:
            return Memory(best, 0, self.cooldown), True
        return Memory(best, bad, cooldown), False


def followed(metrics: Mapping[str, Any], monitor: str, who: str) -> float:
    """The metric that a schedule follows, by its name or, where that is unique, its last part.

    >>> followed({"accuracy/top1": 0.5, "accuracy/top5": 0.9}, "top1", "ReduceOnPlateauLR")
    0.5
    """
    ends = [name for name in metrics if name.rpartition("/")[2] == monitor]
    name = monitor if monitor in metrics or len(ends) != 1 else ends[0]
    if name not in metrics:
        near = nearest_or_all(monitor, metrics)
        raise KeyError(f"{who} follows {monitor!r}, which the validation did not give{near}")
    return float(metrics[name])


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauParamScheduler(ParamScheduler):
    """Times `factor` when the metric `monitor` has not got better for `patience` validations.

    `step()` counts epochs; `step(metrics)` after a validation may reduce. `min_value` is one
    number or a list with one for each group.
    """

    need_val_args = True

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        monitor: str = "loss",
        rule: str = "less",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_rule: str = "rel",
        cooldown: int = 0,
        min_value: float | list[float] = 0.0,
        eps: float = 1e-8,
        begin: float = 0,
        end: float = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not by_epoch:
            raise ValueError(f"{type(self).__name__} follows validations: by_epoch must be True")
        for name, value in {"factor": factor, "threshold": threshold}.items():
            number(value, f"{type(self).__name__}: {name}", least=0)
        number(eps, f"{type(self).__name__}: eps")
        for name, value in {"patience": patience, "cooldown": cooldown}.items():
            whole(value, f"{type(self).__name__}: {name}", least=0)
        if factor >= 1:
            raise ValueError(f"factor must be less than 1, got {factor}")
        _check(rule=rule, among=("less", "greater"))
        _check(threshold_rule=threshold_rule, among=("rel", "abs"))
        self.monitor, self.factor, self.eps = monitor, factor, eps
        self.rule, self.patience, self.cooldown = rule, patience, cooldown
        self.threshold, self.threshold_rule = threshold, threshold_rule
        self.min_values = _limits(min_value, optimizer)
        self.best, self.num_bad_epochs, self.cooldown_counter = self._rule().start()
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _rule(self) -> Rule:
        return Rule(self.rule, self.patience, self.threshold, self.threshold_rule, self.cooldown)

    def step(self, metrics: Mapping[str, Any] | None = None) -> None:
        """Count an epoch or, with the metrics of a validation, reduce if it is time."""
        if metrics is None:
            self._global_step += 1
            self.last_step += self.begin <= self._global_step < self.end
            return
        if not self.begin <= self._global_step < self.end:
            return
        value = followed(metrics, self.monitor, type(self).__name__)
        memory = Memory(self.best, self.num_bad_epochs, self.cooldown_counter)
        memory, reduce = self._rule().judge(memory, value)
        self.best, self.num_bad_epochs, self.cooldown_counter = memory
        if reduce:
            self._write(self._get_value())

    def _get_value(self) -> list[Any]:
        values = []
        for i, group in enumerate(self.optimizer.param_groups):
            old = group[self.param_name]
            new = max(old * self.factor, self.min_values[min(i, len(self.min_values) - 1)])
            values.append(new if old - new > self.eps else old)
        return values

    def load_state_dict(self, state_dict: dict[str, Any], *, changed: str = "continue") -> None:
        """Go on with the memory saved."""
        super().load_state_dict(state_dict, changed=changed)
        for name in ("best", "num_bad_epochs", "cooldown_counter"):
            setattr(self, name, state_dict.get(name, getattr(self, name)))

    def _counters(self) -> set[str]:
        return super()._counters() | {"best", "num_bad_epochs", "cooldown_counter"}


def _limits(min_value: Any, optimizer: Any) -> list[float]:
    """The least values: one for all groups, or one for each group of the optimizer itself."""
    if not isinstance(min_value, list | tuple):
        return [number(min_value, "min_value")]
    groups = getattr(getattr(optimizer, "optimizer", optimizer), "param_groups", min_value)
    if len(min_value) != len(groups):
        raise ValueError(f"min_value has {len(min_value)} values for {len(groups)} groups")
    return numbers(min_value, "min_value")


def _check(*, among: tuple[str, ...], **given: str) -> None:
    for name, value in given.items():
        if value not in among:
            raise ValueError(f"{name} must be {' or '.join(map(repr, among))}, got {value!r}")


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauLR(LRSchedulerMixin, ReduceOnPlateauParamScheduler):
    """`ReduceOnPlateauParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauMomentum(MomentumSchedulerMixin, ReduceOnPlateauParamScheduler):
    """`ReduceOnPlateauParamScheduler` of the momentum."""

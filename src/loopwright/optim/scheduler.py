"""The name table: MMEngine's param scheduler classes for lr, momentum and any other entry."""

from __future__ import annotations

from typing import Any

from loopwright.optim import kinds
from loopwright.optim.param_scheduler import (
    KindScheduler,
    LRSchedulerMixin,
    MomentumSchedulerMixin,
    ParamScheduler,
    WeightDecaySchedulerMixin,
)
from loopwright.registry import PARAM_SCHEDULERS

_ParamScheduler = ParamScheduler
"""The name under which MMEngine's base class is subclassed downstream."""


@PARAM_SCHEDULERS.register_module()
class ConstantParamScheduler(KindScheduler):
    """Times `factor` from `begin`, restored in the last step before `end`."""

    make = staticmethod(kinds.constant)


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingParamScheduler(KindScheduler):
    """A half cosine of `T_max` steps (default: the range) to `eta_min` or `eta_min_ratio`."""

    make = staticmethod(kinds.cosine)
    T_max: float

    def make_schedule(self) -> Any:
        """The cosine; `T_max` becomes the number it stands for."""
        schedule = super().make_schedule()
        self.T_max = schedule.period
        return schedule


@PARAM_SCHEDULERS.register_module()
class CosineRestartParamScheduler(KindScheduler):
    """A cosine in each of `periods`, from `restart_weights` times the base value."""

    make = staticmethod(kinds.cosine_restart)


@PARAM_SCHEDULERS.register_module()
class ExponentialParamScheduler(KindScheduler):
    """Times `gamma` at every step."""

    make = staticmethod(kinds.exponential)


@PARAM_SCHEDULERS.register_module()
class LinearParamScheduler(KindScheduler):
    """From `start_factor` to `end_factor` times the value over the range."""

    make = staticmethod(kinds.linear)


@PARAM_SCHEDULERS.register_module()
class MultiStepParamScheduler(KindScheduler):
    """Times `gamma` at each of `milestones`, counted from `begin`."""

    make = staticmethod(kinds.multi_step)


@PARAM_SCHEDULERS.register_module()
class OneCycleParamScheduler(KindScheduler):
    """Up to `eta_max` and down once; it sets the values itself, whatever the optimizer says.

    `eta_max` may be a list with one value for every group of `optimizer.param_groups`.
    """

    make = staticmethod(kinds.one_cycle)
    eta_max: Any
    total_steps: int
    div_factor: float
    final_div_factor: float

    def _remember_bases(self, *, fresh: bool) -> list[Any]:
        groups, name = self.optimizer.param_groups, self.param_name
        peaks = self.eta_max if isinstance(self.eta_max, list | tuple) else [self.eta_max]
        peaks = list(peaks) * (len(groups) if len(peaks) == 1 else 1)
        if len(peaks) != len(groups):
            raise ValueError(f"eta_max has {len(peaks)} values for {len(groups)} groups")
        if fresh:
            for group, peak in zip(groups, peaks):
                low = peak / self.div_factor
                group |= {
                    f"initial_{name}": low,
                    f"max_{name}": peak,
                    f"min_{name}": low / self.final_div_factor,
                }
        return super()._remember_bases(fresh=False)

    def make_schedule(self) -> Any:
        """The cycle; `total_steps` becomes the number it stands for."""
        schedule = super().make_schedule()
        self.total_steps = schedule.total
        return schedule


@PARAM_SCHEDULERS.register_module()
class PolyParamScheduler(KindScheduler):
    """A polynomial of `power` down to `eta_min` over the range."""

    make = staticmethod(kinds.poly)


@PARAM_SCHEDULERS.register_module(
    ["QuadraticWarmupParamScheduler", "mmdet.QuadraticWarmupParamScheduler"]
)
class QuadraticWarmupParamScheduler(KindScheduler):
    """Up from 0 to the base as the square of the step."""

    make = staticmethod(kinds.quadratic_warmup)


@PARAM_SCHEDULERS.register_module()
class StepParamScheduler(KindScheduler):
    """Times `gamma` every `step_size` steps, counted from `begin`."""

    make = staticmethod(kinds.step)


@PARAM_SCHEDULERS.register_module()
class ConstantLR(LRSchedulerMixin, ConstantParamScheduler):
    """`ConstantParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingLR(LRSchedulerMixin, CosineAnnealingParamScheduler):
    """`CosineAnnealingParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class CosineRestartLR(LRSchedulerMixin, CosineRestartParamScheduler):
    """`CosineRestartParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class ExponentialLR(LRSchedulerMixin, ExponentialParamScheduler):
    """`ExponentialParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class LinearLR(LRSchedulerMixin, LinearParamScheduler):
    """`LinearParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class MultiStepLR(LRSchedulerMixin, MultiStepParamScheduler):
    """`MultiStepParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class OneCycleLR(LRSchedulerMixin, OneCycleParamScheduler):
    """`OneCycleParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class PolyLR(LRSchedulerMixin, PolyParamScheduler):
    """`PolyParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module(["QuadraticWarmupLR", "mmdet.QuadraticWarmupLR"])
class QuadraticWarmupLR(LRSchedulerMixin, QuadraticWarmupParamScheduler):
    """`QuadraticWarmupParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class StepLR(LRSchedulerMixin, StepParamScheduler):
    """`StepParamScheduler` of the lr."""


@PARAM_SCHEDULERS.register_module()
class LinearLrInterval(LRSchedulerMixin, KindScheduler):
    """`LinearLR` that moves every `interval` steps (MMagic's)."""

    make = staticmethod(kinds.linear_interval)


@PARAM_SCHEDULERS.register_module()
class PolyLRRatio(LRSchedulerMixin, KindScheduler):
    """`PolyLR` whose floor may be a ratio of each group's base (MMSegmentation's)."""

    make = staticmethod(kinds.poly_ratio)


@PARAM_SCHEDULERS.register_module()
class ConstantMomentum(MomentumSchedulerMixin, ConstantParamScheduler):
    """`ConstantParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingMomentum(MomentumSchedulerMixin, CosineAnnealingParamScheduler):
    """`CosineAnnealingParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class CosineRestartMomentum(MomentumSchedulerMixin, CosineRestartParamScheduler):
    """`CosineRestartParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class ExponentialMomentum(MomentumSchedulerMixin, ExponentialParamScheduler):
    """`ExponentialParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class LinearMomentum(MomentumSchedulerMixin, LinearParamScheduler):
    """`LinearParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class MultiStepMomentum(MomentumSchedulerMixin, MultiStepParamScheduler):
    """`MultiStepParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class PolyMomentum(MomentumSchedulerMixin, PolyParamScheduler):
    """`PolyParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module(["QuadraticWarmupMomentum", "mmdet.QuadraticWarmupMomentum"])
class QuadraticWarmupMomentum(MomentumSchedulerMixin, QuadraticWarmupParamScheduler):
    """`QuadraticWarmupParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class StepMomentum(MomentumSchedulerMixin, StepParamScheduler):
    """`StepParamScheduler` of the momentum."""


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingWeightDecay(WeightDecaySchedulerMixin, CosineAnnealingParamScheduler):
    """`CosineAnnealingParamScheduler` of the weight decay; groups without stay without it."""

    make = staticmethod(kinds.cosine_of_nonzero)

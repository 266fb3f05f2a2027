"""ParamSchedulerHook: moves learning rates and other group entries when it is time."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.hooks.watched import is_left_out
from loopwright.registry import HOOKS


@HOOKS.register_module()
class ParamSchedulerHook(Hook):
    """Steps iteration-based schedulers after each iteration and epoch-based after each epoch.

    A step that AMP skipped for an overflow moves nothing; of several optimizers each holds up its
    own schedulers alone. Schedulers that need a metric (``ReduceOnPlateau``) also step after each
    validation, with its metrics.
    """

    priority = "LOW"

    def __init__(self) -> None:
        self._each_iter: list[tuple[Any, list[Any]]] = []
        self._each_epoch: list[Any] = []

    def before_train(self, runner: Any) -> None:
        schedulers = runner.all_param_schedulers()
        of_each = _by_wrapper(runner.optim_wrapper, runner.param_schedulers)
        self._each_iter = [(w, [s for s in some if not s.by_epoch]) for w, some in of_each]
        self._each_epoch = [s for s in schedulers if s.by_epoch]

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        for wrapper, schedulers in self._each_iter:
            if schedulers and not wrapper.last_step_skipped:
                for scheduler in schedulers:
                    scheduler.step()

    def after_train_epoch(self, runner: Any) -> None:
        for scheduler in self._each_epoch:
            scheduler.step()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        for scheduler in runner.all_param_schedulers():
            monitor = str(getattr(scheduler, "monitor", ""))
            if getattr(scheduler, "need_val_args", False) and not is_left_out(runner, monitor):
                scheduler.step(metrics)


def _by_wrapper(wrapper: Any, schedulers: Any) -> list[tuple[Any, list[Any]]]:
    """Each optim wrapper with the schedulers that move its values."""
    if isinstance(schedulers, dict):
        return [(wrapper[name], list(some)) for name, some in schedulers.items()]
    return [(wrapper, list(schedulers))]

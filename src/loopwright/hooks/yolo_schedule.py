"""YOLO's schedules as hooks, under the names that YOLO configs give them in place of schedulers."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.param_scheduler import ParamSchedulerHook
from loopwright.optim.yolo import PPYOLOERule, YOLOv5Rule
from loopwright.registry import HOOKS

_ENTRIES = ("lr", "momentum")


class _RuleHook(ParamSchedulerHook):
    """Sets each group's entries as a pure rule says; what a group began with is its base."""

    def __init__(self, rule: Any) -> None:
        super().__init__()
        self.rule = rule
        self._bases: list[dict[str, Any]] = []
        self._length = 0

    def before_train(self, runner: Any) -> None:
        groups = runner.optim_wrapper.optimizer.param_groups
        for group in groups:
            for entry in _ENTRIES:
                if entry in group:
                    group.setdefault(f"initial_{entry}", group[entry])
        self._bases = [
            {entry: group[f"initial_{entry}"] for entry in _ENTRIES if entry in group}
            for group in groups
        ]
        self._length = len(runner.train_loop.dataloader)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        _set(runner, self.rule.before_iter(self._bases, runner.iter, runner.epoch, self._length))

    def after_train_epoch(self, runner: Any) -> None:
        _set(runner, self.rule.after_epoch(self._bases, runner.epoch))


def _set(runner: Any, changes: list[dict[str, Any]]) -> None:
    for group, change in zip(runner.optim_wrapper.optimizer.param_groups, changes, strict=True):
        group.update(change)


@HOOKS.register_module()
class YOLOv5ParamSchedulerHook(_RuleHook):
    """YOLOv5: a warm-up in which biases start high, then linear or cosine by epoch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(YOLOv5Rule(**options))


@HOOKS.register_module()
class PPYOLOEParamSchedulerHook(_RuleHook):
    """PP-YOLOE's learning rate: linear warm-up, then a cosine by iteration."""

    def __init__(self, **options: Any) -> None:
        super().__init__(PPYOLOERule(**options))

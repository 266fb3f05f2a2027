"""IterTimerHook: how long an iteration took and how much of it was waiting for data."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class IterTimerHook(Hook):
    """Puts ``time`` and ``data_time`` (seconds, monotonic clock) of every iteration.

    The clock restarts at every epoch, so that validation and checkpoints are not charged to the
    iteration that follows them.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self._last = perf_counter()
        self._fetched = self._last

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        self._last = perf_counter()

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = "train"
    ) -> None:
        self._fetched = perf_counter()

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        now, last = perf_counter(), self._last
        self._last = now
        spent = {"data_time": self._fetched - last, "time": now - last}
        runner.storage.put_dict(spent, mode + "/")

    def after_val(self, runner: Any) -> None:
        self._last = perf_counter()

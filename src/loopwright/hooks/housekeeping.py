"""Small hooks that keep a run in order: caches, buffers, memory, time."""

from __future__ import annotations

from time import monotonic
from typing import Any

import torch

from loopwright.dist import all_reduce_params
from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class EmptyCacheHook(Hook):
    """Gives cached accelerator memory back before or after an epoch, or after every iteration."""

    def __init__(
        self, before_epoch: bool = False, after_epoch: bool = True, after_iter: bool = False
    ) -> None:
        self._do_before_epoch = before_epoch
        self._do_after_epoch = after_epoch
        self._do_after_iter = after_iter

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        if self._do_before_epoch:
            _empty_cache()

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        if self._do_after_epoch:
            _empty_cache()

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        if self._do_after_iter:
            _empty_cache()


def _empty_cache() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Averages the model's buffers over all ranks before validation and after each epoch.

    Whole numbers, such as batch norm's count of batches, stay as they are.
    """

    def __init__(self) -> None:
        self._synced_at = -1

    def before_val_epoch(self, runner: Any) -> None:
        self._sync(runner)

    def after_train_epoch(self, runner: Any) -> None:
        self._sync(runner)

    def _sync(self, runner: Any) -> None:
        if runner.distributed and self._synced_at != runner.iter:
            floating = [b for b in runner.model.buffers() if b.is_floating_point()]
            all_reduce_params(floating, op="mean")
            self._synced_at = runner.iter


@HOOKS.register_module()
class MemoryStatsHook(Hook):
    """Puts the accelerator's peak memory (MiB) of each ``interval`` iterations into the storage."""

    priority = "ABOVE_NORMAL"

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.device.type == "cuda" and self.every_n_train_iters(runner, self.interval):
            peak = torch.cuda.max_memory_allocated(runner.device) / 2**20
            runner.storage.put_scalar("train/memory", peak, smoothing_hint=False)


@HOOKS.register_module()
class TimeLimitHook(Hook):
    """Saves and halts when the run has taken ``hours`` or ``seconds``, to be resumed later.

    Counted by the monotonic clock from the start of this process's training.
    """

    priority = "LOWEST"

    def __init__(self, hours: float | None = None, seconds: float | None = None) -> None:
        if (hours is None) == (seconds is None):
            raise ValueError("TimeLimitHook needs either hours or seconds")
        self.limit = hours * 3600 if hours is not None else float(seconds or 0)
        self._began = 0.0

    def before_train(self, runner: Any) -> None:
        self._began = monotonic()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if monotonic() - self._began >= self.limit and runner.requests.halting is None:
            runner.requests.save("time limit")
            runner.requests.halt("time limit")

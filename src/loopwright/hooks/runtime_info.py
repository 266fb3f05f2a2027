"""RuntimeInfoHook: puts what an iteration gave into the storage, and facts into the hub."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class RuntimeInfoHook(Hook):
    """Moves losses, learning rates and metrics into the storage, unread.

    Tensors stay on their device; nothing here waits for it.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {}  # the hub's; models ask it for the iteration

    _noted = False
    _global_batch: int | None = None  # samples an iteration, over all ranks

    def before_run(self, runner: Any) -> None:
        hub = runner.message_hub
        hub.update_info("seed", runner.seed)
        hub.update_info("experiment_name", runner.experiment_name)
        hub.update_info("cfg", runner.cfg_text)

    def before_train(self, runner: Any) -> None:
        hub = runner.message_hub
        hub.update_info("loop_stage", "train")
        hub.update_info("epoch", runner.epoch)
        hub.update_info("iter", runner.iter)
        meta = getattr(getattr(runner.train_dataloader, "dataset", None), "metainfo", None)
        hub.update_info("dataset_meta", meta, resumed=False)
        self._facts = hub.runtime_info
        hub.update_info("max_epochs", runner.max_epochs)
        hub.update_info("max_iters", runner.max_iters)
        runner.storage.iter = max(runner.iter - 1, 0)
        _note(runner, "start")
        self._noted = True
        size = getattr(runner.train_dataloader, "batch_size", None)
        self._global_batch = None if size is None else size * runner.world_size

    def after_run(self, runner: Any) -> None:
        if self._noted:
            self._noted = False
            _note(runner, "end", runner.requests.halting or runner.requests.stopping)

    def before_train_epoch(self, runner: Any) -> None:
        runner.message_hub.update_info("epoch", runner.epoch)
        if runner.progress.batch == 0:  # else the epoch began before a resume, and is marked
            runner.storage.iter = runner.iter
            runner.storage.mark_epoch(runner.epoch)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        runner.storage.iter = self._facts["iter"] = runner.iter

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        storage, wrapper = runner.storage, runner.optim_wrapper
        updated = wrapper.last_update
        storage.optim_step = (storage.optim_step or 0) + updated
        if self._global_batch is not None:
            storage.samples = (storage.samples or 0) + self._global_batch
        if outputs:
            storage.put_dict(outputs, "train/")
        told = {name: values[0] for name, values in wrapper.get_lr().items()}
        if updated:
            # Inside an accumulation window these are an earlier update's, told already.
            told |= wrapper.metrics()
        storage.put_dict(told, "train/")

    def before_val(self, runner: Any) -> None:
        runner.message_hub.update_info("loop_stage", "val")
        if runner.iter:  # of the iteration it follows, also where a resume begins with it
            runner.storage.iter = runner.iter - 1

    def after_val(self, runner: Any) -> None:
        runner.message_hub.update_info("loop_stage", "train")

    def before_test(self, runner: Any) -> None:
        runner.message_hub.update_info("loop_stage", "test")

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        _put_metrics(runner, metrics, "val/")

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        _put_metrics(runner, metrics, "test/")


def _put_metrics(runner: Any, metrics: dict[str, Any] | None, prefix: str) -> None:
    for key, value in (metrics or {}).items():
        if isinstance(value, int | float) or (hasattr(value, "numel") and value.numel() == 1):
            runner.storage.put_scalar(prefix + key, value, smoothing_hint=False)
        else:
            runner.message_hub.update_info(prefix + key, value)


def _note(runner: Any, what: str, reason: str | None = None) -> None:
    """A line in ``sessions.jsonl``: when this process began or ended to train, and where."""
    if runner.rank != 0:
        return
    entry = {"what": what, "time": round(time.time(), 1), "iter": runner.iter}
    entry |= {"epoch": runner.epoch, "session": runner.timestamp, "reason": reason}
    with open(os.path.join(runner.work_dir, "sessions.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")

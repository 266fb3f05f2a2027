"""LoggerHook: makes a record every so many iterations and hands it to the writers."""

from __future__ import annotations

import json
import os
from typing import Any

from loopwright.core import every
from loopwright.core.length import length_of
from loopwright.hooks.hook import Hook
from loopwright.log import make_record
from loopwright.registry import HOOKS


@HOOKS.register_module()
class LoggerHook(Hook):
    """Records training every ``interval`` batches, and every validation and test.

    ``interval`` counts batches inside an epoch, iterations in an iteration-based loop. With
    ``ignore_last`` the rest at an epoch's end waits for the next record, unless the epoch is
    shorter than the interval. ``out_dir`` receives a copy of the logs when the run ends.
    ``log_metric_by_epoch`` is accepted without effect: every record holds iteration and epoch. So
    is ``backend_args``: logs are copied to a folder.
    """

    priority = "BELOW_NORMAL"

    def __init__(
        self,
        interval: int = 10,
        ignore_last: bool = True,
        interval_exp_name: int = 1000,
        out_dir: str | None = None,
        out_suffix: str | list[str] = (".json", ".log", ".py", ".csv", ".jsonl"),  # type: ignore[assignment]
        keep_local: bool = True,
        log_metric_by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f"LoggerHook.interval must be at least 1, got {interval}")
        self.interval = interval
        self.ignore_last = ignore_last
        self.interval_exp_name = interval_exp_name
        self.log_metric_by_epoch = log_metric_by_epoch
        self.out_dir = out_dir
        self.out_suffix = out_suffix
        self.keep_local = keep_local
        self.backend_args = backend_args
        self._length: int | None = None

    def before_train(self, runner: Any) -> None:
        self._length = length_of(runner.train_loop.dataloader)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        done = batch_idx + 1
        if done % self.interval and not self._tail(done):
            return
        if every(runner.iter + 1, self.interval_exp_name):
            runner.logger.info(f"Exp name: {runner.experiment_name}")
        self._record(runner, "train")

    def _tail(self, done: int) -> bool:
        """Whether this batch ends an epoch whose rest is to be recorded."""
        return done == self._length and (not self.ignore_last or self._length <= self.interval)

    def _record(self, runner: Any, tag: str) -> None:
        spec = runner.log_processor.spec(tag)
        runner.writers.write(make_record(runner.storage, runner.progress, spec))

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._record(runner, "val")

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._record(runner, "test")
        path = os.path.join(runner.log_dir, "test_metrics.json")
        os.makedirs(runner.log_dir, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({k: _plain(v) for k, v in (metrics or {}).items()}, file, indent=1)

    def after_train(self, runner: Any) -> None:
        """What was put since the last record must not be lost."""
        self._record(runner, "train")

    def after_run(self, runner: Any) -> None:
        runner.writers.close()
        runner.visualizer.close()
        if self.out_dir is not None:
            runner.copy_logs(self.out_dir, tuple(self.out_suffix), keep_local=self.keep_local)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value

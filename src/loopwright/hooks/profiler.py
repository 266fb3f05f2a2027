"""ProfilerHook: torch's profiler over some iterations or epochs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class ProfilerHook(Hook):
    """Profiles the first ``profile_times`` epochs or iterations, then prints and writes a trace.

    ``on_trace_ready``: a callable of the profiler, ``dict(type='log_trace', sort_by=...)`` for a
    table, ``dict(type='tb_trace', dir_name=...)`` for TensorBoard. ``schedule`` as torch's.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        by_epoch: bool = True,
        profile_times: int = 1,
        activity_with_cpu: bool = True,
        activity_with_cuda: bool = False,
        schedule: dict[str, Any] | None = None,
        on_trace_ready: Callable[[Any], None] | dict[str, Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        json_trace_path: str | None = None,
    ) -> None:
        if profile_times < 1:
            raise ValueError(f"profile_times must be at least 1, got {profile_times}")
        self.by_epoch = by_epoch
        self.profile_times = profile_times
        self.on_trace_ready = on_trace_ready
        self.json_trace_path = json_trace_path
        kinds = torch.profiler.ProfilerActivity
        self._options: dict[str, Any] = {
            "activities": [kinds.CPU] * activity_with_cpu + [kinds.CUDA] * activity_with_cuda,
            "record_shapes": record_shapes,
            "profile_memory": profile_memory,
            "with_stack": with_stack,
            "with_flops": with_flops,
        }
        if schedule is not None:
            self._options["schedule"] = torch.profiler.schedule(**schedule)
        self._profiler: Any = None
        self._began = 0

    def before_train(self, runner: Any) -> None:
        ready = self._handler(runner)
        self._profiler = torch.profiler.profile(on_trace_ready=ready, **self._options)
        self._began = runner.epoch if self.by_epoch else runner.iter
        self._profiler.__enter__()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self._profiler is None:
            return
        self._profiler.step()
        if not self.by_epoch and runner.iter + 1 - self._began >= self.profile_times:
            self._finish(runner)

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and runner.epoch + 1 - self._began >= self.profile_times:
            self._finish(runner)

    def after_run(self, runner: Any) -> None:
        self._finish(runner)

    def _finish(self, runner: Any) -> None:
        if self._profiler is None:
            return
        self._profiler.__exit__(None, None, None)
        if self.json_trace_path is not None:
            self._profiler.export_chrome_trace(self.json_trace_path)
        self._profiler = None
        runner.logger.info("profiling is done")

    def _handler(self, runner: Any) -> Callable[[Any], None] | None:
        given = self.on_trace_ready
        if given is None or callable(given):
            return given
        options = {k: v for k, v in given.items() if k != "type"}
        if given.get("type") == "tb_trace":
            folder = options.pop("dir_name", "tf_tracing_logs")
            handler = torch.profiler.tensorboard_trace_handler
            return handler(os.path.join(runner.log_dir, folder), **options)
        if given.get("type") == "log_trace":
            sort_by = options.get("sort_by", "self_cpu_time_total")
            rows = options.get("row_limit", 100)
            return lambda p: print(p.key_averages().table(sort_by=sort_by, row_limit=rows))
        raise ValueError(
            f"on_trace_ready.type must be tb_trace or log_trace, got {given.get('type')!r}"
        )

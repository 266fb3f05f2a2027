"""Hooks of a trainer that look at time and memory: IterationTimer, TorchProfiler, memory stats."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from loopwright.trainer.hook import HookBase

logger = logging.getLogger("loopwright.trainer")


class IterationTimer(HookBase):
    """Puts ``time``, the seconds between its before_step and after_step, from the third on.

    The first in the list, so that what other hooks do in after_step is not counted. Says the
    overall speed in after_train, without hooks and the ``warmup_iter`` first iterations.
    """

    def __init__(self, warmup_iter: int = 3) -> None:
        self._warmup_iter = warmup_iter
        self._began = self._stepped = self._counted_from = perf_counter()
        self._spent = 0.0
        self._counted = 0
        self._left = 0

    def before_train(self) -> None:
        self._began = self._counted_from = perf_counter()
        self._spent, self._counted, self._left = 0.0, 0, self._warmup_iter - 1

    def before_step(self) -> None:
        self._stepped = perf_counter()

    def after_step(self) -> None:
        now = perf_counter()
        if self._left > 0:
            self._left -= 1
            self._counted_from = now
            return
        spent = now - self._stepped
        self._spent += spent
        self._counted += 1
        self.trainer.storage.put_dict({"time": spent})

    def after_train(self) -> None:
        total = perf_counter() - self._began
        hooks = perf_counter() - self._counted_from - self._spent
        if self._counted:
            logger.info(
                "Overall training speed: %d iterations in %s (%.4f s / it)",
                self._counted,
                _clock(self._spent),
                self._spent / self._counted,
            )
        logger.info("Total training time: %s (%s on hooks)", _clock(total), _clock(max(hooks, 0.0)))


def _clock(seconds: float) -> str:
    """Whole seconds as h:mm:ss."""
    return str(datetime.timedelta(seconds=int(seconds)))


class TorchProfiler(HookBase):
    """Profiles the iterations where ``enable_predicate(trainer)`` holds.

    Writes a TensorBoard trace into ``output_dir/log``, or with ``save_tensorboard=False`` a file
    ``profiler-trace-iter{n}.json`` into ``output_dir``.
    """

    def __init__(
        self,
        enable_predicate: Callable[[Any], bool],
        output_dir: str,
        *,
        activities: Any = None,
        save_tensorboard: bool = True,
    ) -> None:
        self._enabled, self._folder = enable_predicate, output_dir
        self._activities, self._tensorboard = activities, save_tensorboard
        self._profiler: Any = None

    def before_step(self) -> None:
        if not self._enabled(self.trainer):
            return
        handler = None
        if self._tensorboard:
            folder = os.path.join(self._folder, "log", f"profiler-iter{self.trainer.iter}")
            handler = torch.profiler.tensorboard_trace_handler(folder)
        self._profiler = torch.profiler.profile(
            activities=self._activities, on_trace_ready=handler, record_shapes=True
        )
        self._profiler.__enter__()

    def after_step(self) -> None:
        self._stop(f"profiler-trace-iter{self.trainer.iter}.json")

    def after_train(self) -> None:
        self._stop("profiler-trace-unfinished.json")

    def _stop(self, name: str) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return
        profiler.__exit__(None, None, None)
        if not self._tensorboard:
            os.makedirs(self._folder, exist_ok=True)
            profiler.export_chrome_trace(os.path.join(self._folder, name))


class AutogradProfiler(TorchProfiler):
    """`TorchProfiler` under its older name: a trace file for each iteration that is profiled."""

    def __init__(
        self, enable_predicate: Callable[[Any], bool], output_dir: str, *, use_cuda: bool = True
    ) -> None:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if use_cuda and torch.cuda.is_available():
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        super().__init__(enable_predicate, output_dir, activities=kinds, save_tensorboard=False)


class TorchMemoryStats(HookBase):
    """Says reserved and allocated GPU memory every ``period`` iterations, ``max_runs`` times.

    The peaks are read and left as they are, so that the ``max_mem`` of reports stays true.
    """

    def __init__(self, period: int = 20, max_runs: int = 10) -> None:
        self._period, self._max_runs, self._runs = period, max_runs, 0

    def after_step(self) -> None:
        due = (self.trainer.iter + 1) % self._period == 0
        if self._runs >= self._max_runs or not due or not torch.cuda.is_available():
            return
        self._runs += 1
        cuda = torch.cuda
        numbers = {
            "max_reserved": cuda.max_memory_reserved(),
            "reserved": cuda.memory_reserved(),
            "max_allocated": cuda.max_memory_allocated(),
            "allocated": cuda.memory_allocated(),
        }
        told = ", ".join(f"{name}: {value / 2**20:.0f}MB" for name, value in numbers.items())
        logger.info("iter: %d, %s", self.trainer.iter, told)

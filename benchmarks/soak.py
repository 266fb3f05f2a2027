"""Soak: a million iterations with an empty step; what grows, what slows, what drifts.

    python benchmarks/soak.py [--iters 1000000] [--start 9000000]

Prints one JSON object: microseconds of processor time an iteration in the first and the last tenth
(medians over windows of the same run) and their ratio, growth of resident memory and of a
checkpoint, and whether counters and lr are exact at the end; then which of the limits are kept.
Ends with 1 where one is not. Processor time, because other programs slow a clock on the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.model import BaseModel
from loopwright.runner import Runner


class Empty(BaseModel):
    """A step that does nothing but count."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(1, 1)
        self.loss = torch.zeros(())

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        return {"loss": self.loss}


class Watch(Hook):
    """Notes the clock and the memory every ``every`` iterations."""

    priority = "LOWEST"

    def __init__(self, every: int) -> None:
        self.every, self.marks, self.memory = every, [], []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not (runner.iter + 1) % self.every:
            self.marks.append(time.process_time())
            self.memory.append(resident())


def resident() -> int:
    """Resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def expected_lr(done: int, end: int) -> float:
    """LinearLR from 1 to 0.5, which reaches its end one step before ``end``."""
    return 1.0 + (0.5 - 1.0) * min(done, end - 1) / (end - 1)


def soak(folder: str, *, iters: int, start: int) -> dict[str, Any]:
    """Run from ``start`` for ``iters`` iterations; the figures."""
    last = start + iters
    watch = Watch(max(iters // 1000, 1))
    runner = Runner.from_cfg(
        Config(
            {
                "model": Empty(),
                "work_dir": folder,
                "train_dataloader": {
                    "batch_size": 1,
                    "num_workers": 0,
                    "dataset": [torch.zeros(1)] * 1000,
                    "sampler": {"type": "DefaultSampler", "shuffle": False},
                },
                "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": last},
                "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 1.0}},
                "param_scheduler": [
                    {
                        "type": "LinearLR",
                        "start_factor": 1.0,
                        "end_factor": 0.5,
                        "by_epoch": False,
                        "end": 20_000_000,
                    }
                ],
                "default_hooks": {
                    "logger": {"type": "LoggerHook", "interval": max(iters // 20, 1)},
                    "checkpoint": {
                        "type": "CheckpointHook",
                        "by_epoch": False,
                        "interval": max(iters // 4, 1),
                    },
                },
                "custom_hooks": [watch],
                "randomness": {"seed": 0},
                "log_level": "ERROR",
            }
        )
    )
    _stand_at(runner, start)
    runner.train()
    sizes = [entry.size for entry in runner.store.entries()]
    gaps = [b - a for a, b in zip(watch.marks, watch.marks[1:], strict=False)]
    tenth = max(len(gaps) // 10, 1)
    first, end = (
        statistics.median(part) / watch.every * 1e6 for part in (gaps[:tenth], gaps[-tenth:])
    )
    lr = runner.optim_wrapper.get_lr()["lr"][0]
    return {
        "iterations": iters,
        "start": start,
        "us_first_tenth": round(first, 2),
        "us_last_tenth": round(end, 2),
        "ratio": round(end / first, 3),
        "rss_growth_mb": round((watch.memory[-1] - watch.memory[tenth]) / 2**20, 2),
        "checkpoint_bytes": sizes,
        "iter_exact": runner.iter == last,
        "lr_error": abs(lr - expected_lr(last, 20_000_000)),
    }


def limits_kept(told: dict[str, Any]) -> dict[str, bool]:
    """The limits of a long run, and whether the figures keep them."""
    sizes = told["checkpoint_bytes"]
    return {
        "counters exact": told["iter_exact"],
        "lr exact": told["lr_error"] < 1e-9,
        "last tenth within 5 % of the first": told["ratio"] <= 1.05,
        "memory grows by at most 10 MB": told["rss_growth_mb"] <= 10,
        "a checkpoint grows by the digits of its numbers alone": max(sizes) - min(sizes) < 2000,
    }


def _stand_at(runner: Any, start: int) -> None:
    """As a run that has made ``start`` iterations: counters and schedule."""
    if not start:
        return
    runner.progress.iter = runner.progress.batch = start
    for scheduler in runner.all_param_schedulers():
        scheduler._global_step = scheduler.last_step = start
    for group in runner.optim_wrapper.optimizer.param_groups:
        group["lr"] = expected_lr(start, 20_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iters", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        told = soak(folder, iters=given.iters, start=given.start)
    kept = limits_kept(told)
    print(json.dumps({**told, "kept": kept}, indent=1))
    sys.exit(0 if all(kept.values()) else 1)


if __name__ == "__main__":
    main()

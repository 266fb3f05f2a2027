"""What the Runner costs over a hand-written loop doing the same: `python benchmarks/overhead.py`.

Same tiny MLP, batches, AdamW or SGD, clipping, two chained schedules, a log line every 10
iterations. Interleaved in one process (see interleave.py); then aten operations, scalar reads and
Python calls of an idle iteration (one without a record) are counted, which no noise touches.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from typing import Any

from interleave import BareLoop, Clock, batches, contests, counts_of, name_of, tiny_mlp, told

from loopwright.build.order import prepare
from loopwright.runner import Runner

LOG_EVERY = 10


def first(items: list[Any]) -> Any:
    return items[0]


def runner_of(data: Any, default: bool, total: int, folder: str) -> Runner:
    """The same training through the Runner, with or without clip, schedules and default hooks."""
    wrapper: dict[str, Any] = {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9},
    }
    schedules = None
    hooks: dict[str, Any] = dict.fromkeys(
        ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")
    )
    if default:
        wrapper["clip_grad"] = {"max_norm": 1.0}
        schedules = [
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 200},
            {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 200, "end": total},
        ]
        hooks = {
            "logger": {"type": "LoggerHook", "interval": LOG_EVERY},
            "checkpoint": {
                "type": "CheckpointHook",
                "by_epoch": False,
                "interval": -1,
                "save_last": False,
            },
        }
    return Runner(
        model=tiny_mlp(),
        loss={"type": "CrossEntropyLoss"},
        work_dir=folder,
        train_dataloader={
            "dataset": data,
            "batch_size": 1,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": first,
        },
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": total},
        optim_wrapper=wrapper,
        param_scheduler=schedules,
        default_hooks=hooks,
        log_level="ERROR",
        randomness={"seed": 0},
    )


def compare(default: bool, total: int, stretch: int) -> str:
    """One contest in one process."""
    bare = BareLoop(default, total, LOG_EVERY)
    clock = Clock(batches(64), bare, stretch=stretch, warm_up=10 * stretch)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner_of(clock, default, total, folder).train()
    return clock.report(name_of(default))


def counts(default: bool) -> str:
    """Operations, scalar reads and Python calls of one idle iteration, ours and the bare loop's."""
    data = batches(8)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner = runner_of(Listed(data), default, 10_000, folder)
        prepare(runner)
        runner.call_hook("before_train")
        source, loop = iter(data), runner.train_loop.core
        ours = counts_of(lambda number: loop.run_iters(source, until=number + 1))
    return told(default, ours, BareLoop(default, 10_000, LOG_EVERY), data[0])


class Listed:
    """Batches as a data set without randomness."""

    deterministic = True

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


if __name__ == "__main__":
    contests(__doc__, compare, counts, iterations=20_000)

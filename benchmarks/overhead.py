"""What the Runner costs over a hand-written loop doing the same: `python benchmarks/overhead.py`.

Same tiny MLP, batches, AdamW or SGD, clipping, two chained schedules, a log line every 10
iterations. Interleaved in one process (see interleave.py); then aten operations, scalar reads and
Python calls of an idle iteration (one without a record) are counted, which no noise touches.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from typing import Any

import torch
from interleave import Clock, Counter, batches, python_calls, tiny_mlp
from torch import nn

from loopwright.runner import Runner

LOG_EVERY = 10


def first(items: list[Any]) -> Any:
    return items[0]


class BareLoop:
    """The loop people write: torch's own parts, each called by hand."""

    def __init__(self, default: bool, total: int) -> None:
        self.model, self.loss = tiny_mlp(), nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.default = default
        if default:
            warm = torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=200)
            decay = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, total - 200)
            self.schedule = torch.optim.lr_scheduler.SequentialLR(
                self.optimizer, [warm, decay], [200]
            )
        self.log = io.StringIO()

    def __call__(self, batch: Any, number: int) -> None:
        inputs, targets = batch
        loss = self.loss(self.model(inputs), targets)
        self.optimizer.zero_grad()
        loss.backward()
        if self.default:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.default:
            self.schedule.step()
            if (number + 1) % LOG_EVERY == 0:
                rate = self.optimizer.param_groups[0]["lr"]
                self.log.write(f"{number} {loss.item():.4f} {norm.item():.4f} {rate:.6f}\n")


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
    clock = Clock(batches(64), BareLoop(default, total), stretch=stretch, warm_up=10 * stretch)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner_of(clock, default, total, folder).train()
    return clock.report("default hooks, clip, schedule" if default else "minimal")


def counts(default: bool) -> str:
    """Operations, scalar reads and Python calls of one idle iteration, ours and the bare loop's."""
    data = batches(4)
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner = runner_of(Listed(data), default, 10_000, folder)
        rows.append(_ours(runner, data))
    bare = BareLoop(default, 10_000)
    for number in range(3):
        bare(data[0], number)
    with Counter() as counter:
        bare(data[0], 3)
    rows.append((counter.operations, counter.reads, python_calls(lambda: bare(data[0], 4))))
    title = "default" if default else "minimal"
    ours, theirs = rows
    return (
        f"{title:<10} an idle iteration: aten ops {ours[0]} (bare {theirs[0]}), "
        f"scalar reads {ours[1]} (bare {theirs[1]}), Python calls {ours[2]} (bare {theirs[2]})"
    )


class Listed:
    """Batches as a data set without randomness."""

    deterministic = True

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def _ours(runner: Runner, data: list[Any]) -> tuple[int, int, int]:
    from loopwright.build.order import prepare

    prepare(runner)
    loop = runner.train_loop
    runner.call_hook("before_train")
    loop.core.run_iters(iter(data * 1), until=3)
    with Counter() as counter:
        loop.core.run_iters(iter(data), until=4)
    calls = python_calls(lambda: loop.core.run_iters(iter(data), until=5))
    return counter.operations, counter.reads, calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=20_000)
    parser.add_argument("--stretch", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for default in (False, True):
        print(compare(default, options.iterations, options.stretch), flush=True)
    for default in (False, True):
        print(counts(default), flush=True)


if __name__ == "__main__":
    main()

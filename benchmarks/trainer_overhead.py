"""What SimpleTrainer costs over a hand-written loop: `python benchmarks/trainer_overhead.py`.

The tiny MLP, batches, SGD with clipping and two chained schedules; the trainer with its default
hooks (timer, schedule, checkpoints, evaluation, writers every 20 iterations), the bare loop with a
log line every 20. Interleaved in one process, CPU time (see interleave.py).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from interleave import Clock, Counter, batches, python_calls, tiny_mlp
from torch import nn

from loopwright.optim import OptimWrapper, build_param_scheduler
from loopwright.trainer import (
    Checkpointer,
    EvalHook,
    IterationTimer,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    SimpleTrainer,
    default_writers,
)

LOG_EVERY = 20


class Classifier(nn.Module):
    """The tiny MLP with its loss, as a trainer calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.loss = tiny_mlp(), nn.CrossEntropyLoss()

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        inputs, targets = batch
        return {"loss_cls": self.loss(self.net(inputs), targets)}


class BareLoop:
    """The loop people write: torch's own parts, each called by hand."""

    def __init__(self, default: bool, total: int) -> None:
        self.model, self.default = Classifier(), default
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        lr = torch.optim.lr_scheduler
        warm = lr.LinearLR(self.optimizer, 0.1, total_iters=200)
        decay = lr.CosineAnnealingLR(self.optimizer, total - 200)
        self.schedule = lr.SequentialLR(self.optimizer, [warm, decay], [200])
        self.log = io.StringIO()

    def __call__(self, batch: Any, number: int) -> None:
        loss = self.model(batch)["loss_cls"]
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


class Fetching:
    """The clock's data as a loader: one item a batch, again and again."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Any]:
        return (self.data[i] for i in range(len(self.data)))


def trainer_of(data: Any, default: bool, total: int, folder: str) -> SimpleTrainer:
    """The same training, with or without clipping, schedules and the default hooks."""
    model = Classifier()
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    wrapper = OptimWrapper(sgd, clip_grad={"max_norm": 1.0} if default else None)
    trainer = SimpleTrainer(model, Fetching(data), wrapper)
    if default:
        schedules = build_param_scheduler(
            [
                {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 200},
                {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 200, "end": total},
            ],
            wrapper,
            max_iters=total,
        )
        saver = Checkpointer(model, folder, trainer=trainer)
        trainer.register_hooks(
            [
                IterationTimer(),
                LRScheduler(scheduler=schedules),
                PeriodicCheckpointer(saver, 10**9),
                EvalHook(0, dict),
                PeriodicWriter(default_writers(folder, total), period=LOG_EVERY),
            ]
        )
    return trainer


def compare(default: bool, total: int, stretch: int) -> str:
    """One contest in one process."""
    clock = Clock(batches(64), BareLoop(default, total), stretch=stretch, warm_up=10 * stretch)
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer_of(clock, default, total, folder).train(0, total)
    return clock.report("default hooks, clip, schedule" if default else "minimal")


def quiet() -> Any:
    return contextlib.redirect_stdout(io.StringIO())


def counts(default: bool) -> str:
    """Operations, scalar reads and Python calls of one idle iteration, ours and the bare loop's."""
    data = batches(4)
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = trainer_of(data, default, 10_000, folder)
        trainer._begin(0, 10_000)
        trainer.before_train()
        loop, source = trainer._loop(), trainer._batches()
        with trainer.storage:
            loop.run_iters(source, until=3)
            with Counter() as counter:
                loop.run_iters(source, until=4)
            calls = python_calls(lambda: loop.run_iters(source, until=5))
    bare = BareLoop(default, 10_000)
    for number in range(3):
        bare(data[0], number)
    with Counter() as other:
        bare(data[0], 3)
    bare_calls = python_calls(lambda: bare(data[0], 4))
    return (
        f"{'default' if default else 'minimal':<10} an idle iteration: "
        f"aten ops {counter.operations} (bare {other.operations}), "
        f"scalar reads {counter.reads} (bare {other.reads}), "
        f"Python calls {calls} (bare {bare_calls})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=10_000)
    parser.add_argument("--stretch", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for default in (False, True):
        print(compare(default, options.iterations, options.stretch), flush=True)
    for default in (False, True):
        print(counts(default), flush=True)


if __name__ == "__main__":
    main()

"""What SimpleTrainer costs over a hand-written loop: `python benchmarks/trainer_overhead.py`.

The tiny MLP, batches, SGD with clipping and two chained schedules; the trainer with its default
hooks (timer, schedule, checkpoints, evaluation, writers every 20 iterations), the bare loop with a
log line every 20. Interleaved in one process, CPU time (see interleave.py).
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from interleave import BareLoop, Clock, batches, contests, counts_of, name_of, tiny_mlp, told
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
    bare = BareLoop(default, total, LOG_EVERY)
    clock = Clock(batches(64), bare, stretch=stretch, warm_up=10 * stretch)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer_of(clock, default, total, folder).train(0, total)
    return clock.report(name_of(default))


def counts(default: bool) -> str:
    """Operations, scalar reads and Python calls of one idle iteration, ours and the bare loop's."""
    data = batches(8)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = trainer_of(data, default, 10_000, folder)
        trainer._begin(0, 10_000)
        trainer.before_train()
        loop, source = trainer._loop(), trainer._batches()
        with trainer.storage:
            ours = counts_of(lambda number: loop.run_iters(source, until=number + 1))
    return told(default, ours, BareLoop(default, 10_000, LOG_EVERY), data[0])


if __name__ == "__main__":
    contests(__doc__, compare, counts, iterations=10_000)

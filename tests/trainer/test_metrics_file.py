"""A run of 200 iterations with the default hooks: the lines of metrics.json.

There is no release of detectron2 to record this file from. So the expectation is worked out here,
from its documented rules and with nothing of ours: a loop by hand, Python's median, the cosine's
formula. The rules: a line at every 20th iteration with the median of the last 20 iterations'
losses and the lr last used; a line of its own for an evaluation, at the iteration that ended; the
last one at the end, which is iteration 200. Kept apart on purpose: wall-clock figures, in
timing.jsonl.
"""

import json
import math
from statistics import median

import pytest
import torch
from trainer_models import TwoLosses, batches, sgd

from loopwright.log import CommonMetricPrinter, JSONWriter
from loopwright.optim.where import CosineParamScheduler
from loopwright.trainer import (
    Checkpointer,
    EvalHook,
    IterationTimer,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    SimpleTrainer,
)

ITERATIONS = 200


def by_hand() -> list[dict[str, float]]:
    """Losses of every iteration by a loop of our own."""
    model = TwoLosses()
    optimizer, data, rows = sgd(model), batches(), []
    for i in range(ITERATIONS):
        optimizer.param_groups[0]["lr"] = rate(i)
        losses = model(data[i % 7])
        optimizer.zero_grad()
        total = sum(losses.values())
        total.backward()
        optimizer.step()
        rows.append({"total_loss": total.item(), **{k: v.item() for k, v in losses.items()}})
    return rows


def rate(i: int) -> float:
    return 0.1 * (1 + math.cos(math.pi * i / ITERATIONS)) / 2


def expected() -> list[dict[str, float]]:
    rows, lines = by_hand(), []
    for end in range(20, ITERATIONS + 1, 20):
        window = rows[end - 20 : end]
        line = {name: median(row[name] for row in window) for name in rows[0]}
        lines.append({"iteration": end - 1, "lr": rate(end - 1), **line})
    for done in (75, 150):
        lines.append({"iteration": done - 1, "bbox/AP": done - 1.0})
    lines.append({"iteration": ITERATIONS, "bbox/AP": float(ITERATIONS)})
    return sorted(lines, key=lambda line: line["iteration"])


def test_the_lines_are_those_of_detectron2s_rules(tmp_path):
    torch.set_num_threads(1)
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    saver = Checkpointer(model, str(tmp_path), trainer=trainer)
    writers = [CommonMetricPrinter(ITERATIONS), JSONWriter(tmp_path / "metrics.json")]
    trainer.register_hooks(
        [
            IterationTimer(),
            LRScheduler(scheduler=CosineParamScheduler(1.0, 0.0)),
            PeriodicCheckpointer(saver, 100),
            EvalHook(75, lambda: {"bbox": {"AP": float(trainer.iter)}}),
            PeriodicWriter(writers, period=20),
        ]
    )
    trainer.train(0, ITERATIONS)
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    wanted = expected()
    assert [line["iteration"] for line in lines] == [line["iteration"] for line in wanted]
    for line, want in zip(lines, wanted, strict=True):
        assert line == pytest.approx(want, rel=1e-6)
    clock = [json.loads(line) for line in (tmp_path / "timing.jsonl").read_text().splitlines()]
    assert all({"time", "data_time", "eta_seconds"} <= set(line) for line in clock[:10:2])

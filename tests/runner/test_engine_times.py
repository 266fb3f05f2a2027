"""When validation runs, checkpoints are written and log lines appear: as recorded from MMEngine.

Our loops and hooks run with an empty step on a runner that only counts; every engine_times*.json
in tests/golden/vectors is replayed.
"""

import json
from pathlib import Path

import pytest

from loopwright.build.spec import RunSpec
from loopwright.core import HookTable, Progress, Requests
from loopwright.hooks import CheckpointHook, LoggerHook
from loopwright.hooks.bind import binder
from loopwright.log import EventStorage, LogProcessor
from loopwright.runner import EpochBasedTrainLoop, IterBasedTrainLoop

VECTORS = Path(__file__).parents[1] / "golden" / "vectors"
CASES = [
    case
    for file in sorted(VECTORS.glob("engine_times*.json"))
    for case in json.loads(file.read_text())["cases"]
]


class Batches:
    """As many empty batches an epoch as asked for, from any position."""

    def __init__(self, length):
        self.length, self.start = length, 0

    def __len__(self):
        return self.length

    def set_position(self, epoch, batch):
        self.start = batch

    def __iter__(self):
        start, self.start = self.start, 0
        return iter(range(start, self.length))


class Counting:
    """The runner that a loop and two hooks need: it writes down what they ask for."""

    def __init__(self, length):
        self.progress, self.requests = Progress(), Requests()
        self.hook_table = HookTable(binder(self))
        self.storage, self.log_processor = EventStorage(), LogProcessor()
        self.batches = Batches(length)
        self.val_at, self.saved, self.kept, self.logged = [], [], [], []
        self.val_loop = self.writers = self.model = self.logger = self
        self.experiment_name, self.rank, self.distributed = "counting", 0, False
        self.seed = 0
        self.left_out, self.data_start = set(), None
        self.spec = RunSpec()

    iter = property(lambda self: self.progress.iter)
    epoch = property(lambda self: self.progress.epoch)
    max_iters = property(lambda self: self.progress.max_iters)
    max_epochs = property(lambda self: self.progress.max_epochs)

    def loader_of(self, loader):
        return loader

    def call_hook(self, point, **facts):
        self.hook_table.say(point, **facts)

    def info(self, text): ...
    def train(self): ...

    def run(self):
        self.val_at.append(self.epoch if self.loop.unit == "epoch" else self.iter)

    def save_checkpoint(self, name, *, replaces, **how):
        self.saved.append(name)
        self.kept = [old for old in self.kept if old not in {name, *replaces}] + [name]
        return True

    def write(self, record):
        self.logged.append(self.iter + 1)


def build(case):
    runner = Counting(case["epoch_length"])
    cfg = {k: v for k, v in case["train_cfg"].items() if k not in ("type", "by_epoch")}
    kind = EpochBasedTrainLoop if case["loop"] == "epoch" else IterBasedTrainLoop
    keys = ("val_begin", "val_interval", "dynamic_intervals")
    limit = "max_epochs" if case["loop"] == "epoch" else "max_iters"
    runner.loop = kind(
        runner, runner.batches, **{limit: case[limit]}, **{k: cfg[k] for k in keys if k in cfg}
    )
    runner.train_loop = runner.loop
    runner.loop.core.step = lambda batch: None
    tmpl = {"filename_tmpl": ("epoch_{}.pth" if by_epoch(case) else "iter_{}.pth")}
    runner.hook_table.add(CheckpointHook(**{**tmpl, **case.get("checkpoint", {})}), 90)
    runner.hook_table.add(LoggerHook(**case.get("logger", {})), 60)
    return runner


def by_epoch(case):
    return case.get("checkpoint", {}).get("by_epoch", True)


def shortened(found, golden, name):
    """The recorded form of a long list: head, tail and count."""
    head = golden[name]
    if f"{name}_count" not in golden and f"{name.removesuffix('_at')}_count" not in golden:
        return found == head
    short = name.removesuffix("_at")
    tail, count = golden[f"{short}_tail"], golden[f"{short}_count"]
    return (found[: len(head)], found[-len(tail) :], len(found)) == (head, tail, count)


RECORDED = {"val_at", "saved", "kept", "log_count", "log_inner_first_epoch"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_everything_happens_when_it_happens_in_mmengine(case):
    if not RECORDED & set(case):
        pytest.skip(f"nothing is recorded that is compared here: {', '.join(sorted(RECORDED))}")
    runner = build(case)
    # The end of training flushes what is left to the log, which MMEngine has no line for.
    runner.loop._finish = lambda: None
    runner.loop.run()
    if "val_at" in case:
        assert shortened(runner.val_at, case, "val_at")
    if "saved" in case:
        assert shortened(runner.saved, case, "saved")
    if "kept" in case:
        assert sorted(runner.kept) == sorted(case["kept"])
    if "log_count" in case:
        assert len(runner.logged) == case["log_count"]
        assert runner.logged[: len(case["log_iters_head"])] == case["log_iters_head"]
        assert runner.logged[-len(case["log_iters_tail"]) :] == case["log_iters_tail"]
    if "log_inner_first_epoch" in case:
        first = [it for it in runner.logged if it <= case["epoch_length"]]
        assert first == case["log_inner_first_epoch"]

"""A run resumed from any of its checkpoints ends as the run that was never stopped."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from loopwright.hooks import Hook
from loopwright.model import BaseModel
from loopwright.runner import Runner


class Drawing(BaseModel):
    """Dropout and batch norm, so that randomness and buffers count."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
        )

    def forward(self, inputs, data_samples=None, mode="tensor"):
        logits = self.net(inputs + 0.1 * torch.randn_like(inputs))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(logits, data_samples)}
        return logits.argmax(1)


class Same(Hook):
    """Counts, to see that a hook's memory is part of the state."""

    def __init__(self):
        self.seen = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen += 1

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def spec(config, folder, **changes):
    torch.manual_seed(0)
    base = {
        **config,
        "model": Drawing(),
        "work_dir": str(folder),
        "optim_wrapper": {
            "type": "OptimWrapper",
            "optimizer": {"type": "AdamW", "lr": 0.01},
            "accumulative_counts": 2,
            "clip_grad": {"max_norm": 1.0},
        },
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 4},
            {"type": "MultiStepLR", "milestones": [2], "by_epoch": True},
        ],
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 2},
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False},
        },
        "custom_hooks": [Same()],
    }
    return {**base, **changes}


KINDS = {
    "epoch": {"train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 3}},
    "iter": {"train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 9}},
}


def finished(runner):
    weights = {k: v.clone() for k, v in runner.model.state_dict().items()}
    log = Path(runner.work_dir, "metrics.jsonl").read_bytes()
    hook = next(h for h in runner.hooks if isinstance(h, Same))
    return weights, log, hook.seen, runner.optim_wrapper.state_dict()


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.fixture(params=KINDS)
def straight(request, config, tmp_path):
    runner = Runner.from_cfg(spec_of(config, tmp_path / "straight", request.param))
    runner.train()
    return request.param, runner


def spec_of(config, folder, kind, **changes):
    return {**spec(config, folder), **KINDS[kind], **changes}


def test_resuming_at_any_iteration_gives_the_same_bits(straight, config, tmp_path):
    kind, runner = straight
    wanted = finished(runner)
    for at in range(1, 9):
        folder = tmp_path / f"resumed_{at}"
        shutil.copytree(runner.work_dir, folder)
        for name in os.listdir(folder):
            if name.startswith("iter_") and int(name[5:]) > at:
                shutil.rmtree(folder / name)
        again = Runner.from_cfg(spec_of(config, folder, kind, resume=True))
        again.train()
        found = finished(again)
        assert same(found[0], wanted[0]), f"weights differ after resuming at {at}"
        assert found[1] == wanted[1], f"the log differs after resuming at {at}"
        assert found[2] == wanted[2] == 9
        assert same(found[3], wanted[3])


def test_resuming_where_nothing_is_starts_anew(config, tmp_path):
    runner = Runner.from_cfg(spec_of(config, tmp_path / "fresh", "epoch", resume=True))
    runner.train()
    assert runner.iter == 9


def test_a_fresh_run_in_a_used_folder_sets_the_earlier_one_aside(config, tmp_path):
    folder = tmp_path / "twice"
    for _ in range(2):
        Runner.from_cfg(spec_of(config, folder, "epoch")).train()
    assert "iter_9" in os.listdir(folder / "earlier_1")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert lines == (folder / "earlier_1" / "metrics.jsonl").read_text().splitlines()


def test_a_run_that_was_finished_does_nothing_when_resumed(straight, config, tmp_path):
    kind, runner = straight
    wanted = finished(runner)
    again = Runner.from_cfg(spec_of(config, runner.work_dir, kind, resume=True))
    again.train()
    assert again.iter == 9
    assert same(finished(again)[0], wanted[0])


def test_weights_alone_are_loaded_without_counters(straight, config, tmp_path):
    kind, runner = straight
    path = os.path.join(runner.work_dir, "iter_9")
    other = Runner.from_cfg(spec_of(config, tmp_path / "other", kind, load_from=path))
    other.load_or_resume()
    assert other.iter == 0
    assert same(other.model.state_dict(), runner.model.state_dict())

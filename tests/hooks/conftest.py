"""A config that trains in a moment, three batches of four an epoch, validated each epoch."""

import sys
from pathlib import Path

import pytest
import torch

from loopwright.config import Config
from loopwright.evaluation import BaseMetric
from loopwright.registry import METRICS
from loopwright.runner import Runner

TOYS = Path(__file__).parents[1] / "runner"


@pytest.fixture(autouse=True)
def toy_parts(monkeypatch):
    """The toy models as a user's own module, and one thread."""
    torch.set_num_threads(1)
    monkeypatch.syspath_prepend(str(TOYS))
    if "toy_models" not in sys.modules:
        import toy_models  # noqa: F401


def loader(length=12, *, shuffle=False, dataset="ToyMasks"):
    return {
        "batch_size": 4,
        "num_workers": 0,
        "dataset": {"type": dataset, "length": length},
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "collate_fn": {"type": "default_collate"},
    }


@pytest.fixture
def config(tmp_path):
    """A segmentor of 12 pictures: two epochs of three iterations, a validation after each."""
    return {
        "model": {"type": "ToySegmentor", "depth": 1},
        "work_dir": str(tmp_path / "run"),
        "train_dataloader": loader(shuffle=True),
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 2},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
        "val_dataloader": loader(8),
        "val_cfg": {"type": "ValLoop"},
        "val_evaluator": {"type": "PixelAccuracy"},
        "test_dataloader": loader(8),
        "test_cfg": {"type": "TestLoop"},
        "test_evaluator": {"type": "PixelAccuracy"},
        "randomness": {"seed": 0},
        "log_level": "ERROR",
    }


@pytest.fixture
def make(config):
    """A runner of the config with changes; None takes a key away."""

    def build(**changes):
        keys = {**config, **changes}
        return Runner.from_cfg(Config({k: v for k, v in keys.items() if v is not None}))

    return build


@pytest.fixture
def run(make):
    """Train the config with changes; gives the runner."""

    def train(**changes):
        runner = make(**changes)
        runner.train()
        return runner

    return train


@METRICS.register_module(force=True)
class CountAll(BaseMetric):
    """How many samples were evaluated."""

    def process(self, data_batch, data_samples):
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results):
        return {"count": len(results)}

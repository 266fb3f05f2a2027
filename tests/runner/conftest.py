"""A config that trains in a moment, to be changed by each test."""

import sys
from pathlib import Path

import pytest
import torch

from loopwright.config import Config
from loopwright.runner import Runner

HERE = Path(__file__).parent
collect_ignore_glob = ["*_script.py"]  # run by torchrun


@pytest.fixture(autouse=True)
def toy_parts(monkeypatch):
    """The toy models as a user's own module, and one thread."""
    torch.set_num_threads(1)
    monkeypatch.syspath_prepend(str(HERE))
    if "toy_models" not in sys.modules:
        import toy_models  # noqa: F401


@pytest.fixture
def config(tmp_path):
    """A whole config as plain data: three batches an epoch, two epochs, validated."""
    data = {
        "batch_size": 4,
        "num_workers": 0,
        "dataset": {"type": "ToyClasses", "length": 12},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    }
    return {
        "model": {"type": "ToyResNet"},
        "work_dir": str(tmp_path / "run"),
        "train_dataloader": data,
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 2},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
        "randomness": {"seed": 0},
        "log_level": "ERROR",
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1}},
    }


@pytest.fixture
def run(config):
    """Train the config with changes; gives the runner."""

    def train(**changes):
        runner = Runner.from_cfg(Config({**config, **changes}))
        runner.train()
        return runner

    return train

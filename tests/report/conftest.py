"""A run that was stopped once and resumed, read back by every test of this folder."""

import sys
from pathlib import Path

import pytest
import torch

from loopwright.config import Config
from loopwright.runner import Runner

BASE = """
model = dict(type='ToySegmentor', depth=1)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(type='ToyMasks', length=12),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
val_dataloader = dict(
    batch_size=4,
    dataset=dict(type='ToyMasks', length=8),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
val_cfg = dict(type='ValLoop', loss=True)
val_evaluator = dict(type='PixelAccuracy')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, T_max=18)]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    visualization=dict(type='SegVisualizationHook', draw=True, interval=2))
randomness = dict(seed=0)
log_level = 'ERROR'
tracker_token = 'do-not-show'
"""
CHILD = "_base_ = './base.py'\noptim_wrapper = dict(optimizer=dict(lr=0.2))\n"


def write_configs(folder):
    folder.mkdir(exist_ok=True)
    (folder / "base.py").write_text(BASE)
    (folder / "child.py").write_text(CHILD)
    return folder / "child.py"


def train(path, work_dir, **changes):
    cfg = Config.fromfile(str(path))
    cfg["work_dir"] = str(work_dir)
    for key, value in changes.items():
        cfg[key] = value
    Runner.from_cfg(cfg).train()
    return Path(work_dir)


@pytest.fixture(scope="session")
def toys():
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))
    import toy_models  # noqa: F401


@pytest.fixture(scope="session")
def configs(tmp_path_factory):
    return write_configs(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="session")
def run_folder(toys, configs, tmp_path_factory):
    """Three epochs, then three more after a resume."""
    folder = tmp_path_factory.mktemp("runs") / "resumed"
    train(configs, folder)
    longer = {"type": "EpochBasedTrainLoop", "max_epochs": 6}
    return train(configs, folder, resume=True, train_cfg=longer)


@pytest.fixture(scope="session")
def other_folder(toys, configs, run_folder):
    """A run beside it with another rate and seed."""
    changes = {"randomness": {"seed": 1}}
    return train(configs.parent / "base.py", run_folder.parent / "other", **changes)

"""What a plan warns of is said once by the run that follows it, in its log and with its place."""

import shutil

import pytest

from loopwright.cli.run import start
from loopwright.config import Config

CONFIG = """
model = dict(type='ToyResNet')
train_dataloader = dict(
    batch_size=6,
    dataset=dict(type='ToyClasses', length=12),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2000),
    dict(type='MultiStepLR', milestones=[1, 7]),
]
"""


@pytest.fixture
def said(tmp_path, capfd):
    """All that a run tells, and its log."""
    file = tmp_path / "config.py"
    file.write_text(CONFIG)
    cfg = Config.fromfile(file)
    cfg["work_dir"] = str(tmp_path / "run")
    runner = start(cfg, str(file))
    runner.train()
    told = capfd.readouterr()
    (log,) = (tmp_path / "run").rglob("*.log")
    text = log.read_text()
    shutil.rmtree(tmp_path / "run")
    return told.out + told.err, text


def test_a_schedule_that_does_not_fit_is_told_once_with_its_line(said):
    line = 1 + CONFIG[: CONFIG.index("milestones")].count("\n")
    for text in said:
        assert text.count("milestone 7 never comes") == 1
        assert f"config.py:{line}): milestone 7 never comes" in text


def test_what_only_the_run_can_know_is_told_too(said):
    for text in said:
        assert text.count("ends at iteration 2000, the run already at 4") == 1

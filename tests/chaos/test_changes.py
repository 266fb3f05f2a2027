"""A resumed run whose config changed says what changed, and never jumps in the learning rate."""

import pytest
from lives import make
from toy import Samples, loader, spec

from loopwright.build.policies import on_resume
from loopwright.config import ConfigDict, ConfigError
from loopwright.data import DatasetChangedError
from loopwright.runner.changes import changes


def run_of(folder, epochs=2, **changes):
    """Epochs of six iterations, warmed up and annealed by iterations."""
    return spec(
        folder,
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": epochs},
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 3, "by_epoch": False}},
        param_scheduler=[
            {"type": "CosineAnnealingLR", "T_max": 6 * epochs, "by_epoch": False},
        ],
        **changes,
    )


def lr(runner):
    return runner.optim_wrapper.get_lr()["lr"][0]


def resumed(config):
    """A runner that stands where the checkpoint left it, nothing trained yet."""
    runner = make({**config, "train_cfg": {**config["train_cfg"]}})
    with runner.storage:
        from loopwright.build.order import prepare

        prepare(runner)
    return runner


@pytest.fixture
def before(tmp_path):
    """A run of two epochs, of which the last checkpoint is removed: it stands at iteration 9."""
    runner = make(run_of(tmp_path))
    runner.train()
    runner.store.delete("iter_3")
    import shutil

    shutil.rmtree(tmp_path / "iter_12")

    return tmp_path


def said(runner, folder):
    return "".join(p.read_text() for p in folder.glob("*/*.log"))


def test_what_changed_is_listed(before):
    resumed(run_of(before, epochs=4, log_level="INFO"))
    text = said(None, before)
    assert "train_cfg.max_epochs: 2 -> 4" in text
    assert "param_scheduler.0.T_max: 12 -> 24" in text
    assert "work_dir" not in text.split("the config changed")[1].split("resumed")[0]


@pytest.mark.parametrize("policy", ["keep", "rescale"])
def test_a_longer_schedule_never_jumps(before, policy):
    old = lr(resumed(run_of(before)))
    runner = resumed(run_of(before, epochs=4, on_resume={"schedule": policy}))
    assert lr(runner) == old
    scheduler = runner.all_param_schedulers()[0]
    scheduler.step()
    assert abs(lr(runner) - old) < 0.2 * 0.01


def test_a_longer_schedule_can_be_refused(before):
    with pytest.raises(ConfigError, match="max_epochs: 2 -> 4"):
        resumed(run_of(before, epochs=4, on_resume={"schedule": "refuse"}))


def test_another_batch_size_keeps_the_samples_seen(before):
    data = {**loader(0, train=True), "batch_size": 2}
    runner = resumed(run_of(before, train_dataloader=data))
    assert (runner.epoch, runner.progress.batch, runner.iter) == (1, 6, 18)
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 24)


def test_the_iterations_made_can_stay_with_another_batch_size(before):
    data = {**loader(0, train=True), "batch_size": 2}
    policy = {"batch_size": "keep"}
    runner = resumed(run_of(before, train_dataloader=data, on_resume=policy))
    assert (runner.progress.batch, runner.iter) == (6, 9)


def test_another_batch_size_can_be_refused(before):
    data = {**loader(0, train=True), "batch_size": 2}
    config = run_of(before, train_dataloader=data, on_resume={"batch_size": "refuse"})
    with pytest.raises(ConfigError, match="samples an iteration: 4 -> 2"):
        resumed(config)


def test_another_data_set_is_an_error_unless_allowed(before):
    data = {**loader(0, train=True), "dataset": Samples(20)}
    with pytest.raises(DatasetChangedError):
        resumed(run_of(before, train_dataloader=data))
    with pytest.warns(UserWarning, match="dataset changed"):
        runner = resumed(run_of(before, train_dataloader=data, on_resume={"dataset": "keep"}))
    assert (runner.epoch, runner.progress.batch) == (1, 0)


def test_another_number_of_workers_is_nothing(before):
    runner = resumed(run_of(before, train_dataloader=loader(2, train=True)))
    assert (runner.iter, runner.progress.batch) == (9, 3)


def test_an_unknown_policy_is_an_error_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'schedule'"):
        on_resume({"schedules": "keep"})
    with pytest.raises(ConfigError, match="must be one of"):
        on_resume({"dataset": "alow"})


def test_added_and_removed_entries_are_differences():
    before, now = ConfigDict(a=1, b=[1, 2]), ConfigDict(b=[1], c=dict(d=2))
    assert [line.partition(":")[0] for line in changes(before, now)] == ["a", "b.1", "c.d"]


def test_the_same_number_in_other_words_is_no_change():
    assert changes(ConfigDict(lr=1, betas=[0, 1]), ConfigDict(lr=1.0, betas=(0, 1))) == []


def test_another_torch_or_number_of_threads_is_said(before):
    import torch

    runner = make(run_of(before, log_level="INFO"))
    torch.set_num_threads(2)
    try:
        runner.load_or_resume()
    finally:
        torch.set_num_threads(1)
    assert "threads was 1, is 2: equal bits are not guaranteed" in said(runner, before)

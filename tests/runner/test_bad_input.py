"""A mistake ends the run with one clear error, before anything is half-written."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from loopwright.checkpoint import CheckpointError
from loopwright.config import Config, ConfigError
from loopwright.data import DataError
from loopwright.hooks import Hook, NonFiniteLossError
from loopwright.model import BaseModel, NoLossError
from loopwright.registry import BuildError, UnknownNameError
from loopwright.runner import Runner


def without(config, key):
    return Config({k: v for k, v in config.items() if k != key})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("param_schedulers", [{"type": "LinearLR"}], "did you mean 'param_scheduler'"),
        ("custom_hook", [{"type": "LoggerHook"}], "did you mean 'custom_hooks'"),
        ("env_cfg", {"cudnn_bench": True}, "did you mean 'cudnn_benchmark'"),
        ("randomness", {"sead": 3}, "did you mean 'seed'"),
        ("default_hooks", {"loger": {"type": "LoggerHook"}}, "did you mean 'logger'"),
        ("train_cfg", {"max_epochs": 3}, "by_epoch"),
        ("train_cfg", {"type": "EpochBasedTrainLoop", "by_epoch": True, "max_epochs": 3}, "both"),
        ("resume_from", "x.pth", "resume=True with load_from"),
        ("custom_hooks", "NewHook", "must be a list or tuple"),
    ],
)
def test_an_unknown_key_or_wrong_type_is_an_error(config, run, key, value, message):
    with pytest.raises(ConfigError, match=message):
        run(**{key: value})
    assert not os.path.exists(os.path.join(config["work_dir"], "epoch_1"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train_cfg": {"type": "EpochBasedTrainLoop", "max_epoch": 3}},
            "did you mean 'max_epochs'",
        ),
        ({"model": {"type": "ToyResNet", "depth": 3}}, "takes no argument 'depth'"),
        ({"custom_hooks": [{"type": "LoggerHook", "intervall": 3}]}, "did you mean 'interval'"),
        (
            {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentun": 0.9}}},
            "did you mean 'momentum'",
        ),
    ],
)
def test_an_argument_that_does_not_fit_is_an_error(run, change, message):
    with pytest.raises(BuildError, match=message):
        run(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "ToyResnet"}}, "did you mean 'ToyResNet'"),
        ({"custom_hooks": [{"type": "LogerHook"}]}, "did you mean 'LoggerHook'"),
        ({"train_cfg": {"type": "EpochBasedLoop", "max_epochs": 1}}, "EpochBasedTrainLoop"),
    ],
)
def test_an_unknown_name_says_the_nearest(run, change, message):
    with pytest.raises(UnknownNameError, match=message):
        run(**change)


def test_a_config_without_a_model_says_so(config):
    with pytest.raises(ConfigError, match="model is missing"):
        Runner.from_cfg(without(config, "model"))


def test_a_model_that_cannot_be_built_leaves_no_file(config):
    class Broken(nn.Module):
        def __init__(self):
            raise ValueError("no such depth")

    with pytest.raises(ValueError, match="no such depth"):
        Runner.from_cfg(Config({**config, "model": {"type": Broken}}))
    assert not any(files for _, _, files in os.walk(config["work_dir"]))


@pytest.mark.parametrize("key", ["train_cfg", "train_dataloader", "optim_wrapper"])
def test_half_a_training_section_is_an_error_that_names_what_lacks(config, key):
    with pytest.raises(ConfigError, match=f"{key} is not"):
        Runner.from_cfg(without(config, key))


def test_an_empty_data_set_is_an_error_before_training(config, run):
    with pytest.raises(DataError):
        run(train_dataloader={**config["train_dataloader"], "dataset": []})


class Nothing(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    "cfg",
    [
        {"type": "IterBasedTrainLoop", "max_iters": 3},
    ],
)
def test_a_loader_that_yields_nothing_is_an_error(run, cfg):
    with pytest.raises((RuntimeError, DataError), match=r"no batch|nothing|empty"):
        run(train_dataloader={"dataset": Nothing(), "batch_size": 2}, train_cfg=cfg)


def test_schedulers_of_ones_own_need_no_length_where_they_count_iterations(config):
    runner = Runner.from_cfg(
        Config(
            {
                **config,
                "train_dataloader": {"dataset": Nothing(), "batch_size": 2},
                "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 3},
            }
        )
    )
    (scheduler,) = runner.build_param_scheduler({"type": "LinearLR", "by_epoch": False, "end": 2})
    assert scheduler.get_last_value() == [pytest.approx(0.1 / 3)]


class Silent(BaseModel):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return {"accuracy": torch.ones(())}


def test_a_model_without_losses_is_an_error_that_says_what_it_gave(run):
    with pytest.raises(NoLossError, match="accuracy"):
        run(model=Silent())


class Poisoned(BaseModel):
    """Its loss is NaN from the fourth batch on."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)
        self.seen = 0

    def forward(self, inputs, data_samples=None, mode="tensor"):
        self.seen += 1
        loss = self.fc(inputs[:, :, 0, :1]).mean()
        return {"loss_a": loss, "loss_b": loss * (float("nan") if self.seen == 4 else 1.0)}


def test_a_nan_loss_stops_before_the_weights_see_it(run):
    model = Poisoned()
    with pytest.raises(NonFiniteLossError) as caught:
        run(model=model)
    text = str(caught.value) + "".join(caught.value.__notes__)
    assert "iteration 3" in text
    assert "loss_b" in text
    assert "first bad tensor" in text
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_the_first_bad_tensor_is_the_batch_where_the_batch_is_bad(config, run):
    class Bad(torch.utils.data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return {"inputs": torch.full((1, 8, 8), float("inf")), "data_samples": 0}

    with pytest.raises(NonFiniteLossError, match=r"first bad tensor: batch.inputs \(256 of 256"):
        run(train_dataloader={**config["train_dataloader"], "dataset": Bad()})


def test_a_policy_lets_a_run_leave_the_bad_batch_out(run):
    runner = run(
        model=Poisoned(),
        default_hooks={"finite_loss": {"type": "FiniteLossHook", "policy": "skip"}},
    )
    assert runner.iter == 6
    assert all(bool(p.isfinite().all()) for p in runner.model.parameters())


class Broken(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 4:
            raise LookupError("broken hook")


def test_a_failing_hook_is_named_and_the_others_still_end_orderly(config, run):
    ended = []

    class Ending(Hook):
        def after_run(self, runner):
            ended.append(runner.iter)

    with pytest.raises(LookupError, match="broken hook") as caught:
        run(custom_hooks=[Broken(), Ending()])
    notes = "".join(caught.value.__notes__)
    assert "Broken" in notes
    assert "after_train_iter" in notes
    assert "iteration 4" in notes
    assert ended == [4]
    assert "epoch_1" in os.listdir(config["work_dir"])


def test_an_error_in_the_model_leaves_a_checkpoint_of_the_last_whole_iteration(config, run):
    class Failing(Poisoned):
        def forward(self, inputs, data_samples=None, mode="tensor"):
            self.seen += 1
            if self.seen == 5:
                raise RuntimeError("out of memory, say")
            return {"loss": self.fc(inputs[:, :, 0, :1]).mean()}

    with pytest.raises(RuntimeError, match="out of memory"):
        run(model=Failing())
    assert "crash_iter_4" in os.listdir(config["work_dir"])


def test_statistics_that_saw_the_failed_batch_are_told(config, run):
    class Failing(Poisoned):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(1)

        def forward(self, inputs, data_samples=None, mode="tensor"):
            self.seen += 1
            loss = self.norm(self.fc(inputs[:, :, 0, :1].flatten(1)[:, :1])).mean()
            if self.seen == 5:
                raise RuntimeError("out of memory, say")
            return {"loss": loss}

    with pytest.raises(RuntimeError, match="out of memory"):
        run(model=Failing(), log_level="WARNING")
    (log,) = Path(config["work_dir"]).glob("*/*.log")
    assert "in the statistics of 'norm': a resume adds it again" in log.read_text()


def test_a_missing_file_in_load_from_is_an_error(run):
    with pytest.raises(CheckpointError, match=r"nowhere.pth does not exist"):
        run(load_from="nowhere.pth")

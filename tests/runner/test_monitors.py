"""A run built in Python refuses to follow a metric that its validation will not give."""

import pytest
from torch import nn

from loopwright.config import Config, ConfigError
from loopwright.evaluation import BaseMetric
from loopwright.hooks import CheckpointHook, EarlyStoppingHook, Hook
from loopwright.model import as_trainable
from loopwright.runner import Runner


class Steps(Hook):
    """Counts the iterations that were begun."""

    def __init__(self):
        self.count = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.count += 1


class Score(BaseMetric):
    """A metric whose names nobody knows before it is computed."""

    def process(self, data_batch, data_samples):
        self.results += [1.0] * len(data_samples)

    def compute_metrics(self, results):
        return {"score": sum(results)}


def runner_with(tmp_path, **keys):
    loader = {
        "batch_size": 6,
        "dataset": {"type": "ToyClasses", "length": 12},
        "collate_fn": {"type": "default_collate"},
    }
    steps = Steps()
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    runner = Runner(
        **{
            "model": as_trainable(net, loss="CrossEntropyLoss"),
            "work_dir": str(tmp_path),
            "train_dataloader": loader,
            "train_cfg": {"by_epoch": True, "max_epochs": 1},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
            "val_dataloader": loader,
            "val_cfg": {},
            "val_evaluator": {"type": "Accuracy"},
            "log_level": "ERROR",
            **keys,
        }
    )
    runner.register_hook(steps)
    return runner, steps


WRONG = {
    "save_best": {"default_hooks": {"checkpoint": {"save_best": "accuracy/top5"}}},
    "an early stop": {"custom_hooks": [{"type": "EarlyStoppingHook", "monitor": "acuracy/top1"}]},
    "a schedule": {"param_scheduler": {"type": "ReduceOnPlateauLR", "monitor": "top5"}},
    "a schedule that names nothing": {"param_scheduler": {"type": "ReduceOnPlateauLR"}},
    "a hook object": {"custom_hooks": [EarlyStoppingHook(monitor="acuracy/top1")]},
    "a checkpoint object": {"custom_hooks": [CheckpointHook(save_best=["top5"])]},
    "no validation": {
        **dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator")),
        "default_hooks": {"checkpoint": {"save_best": "accuracy/top1"}},
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_a_metric_that_will_not_be_is_refused_before_the_first_step(name, tmp_path):
    runner, steps = runner_with(tmp_path, **WRONG[name])
    wanted = "never validates" if name == "no validation" else "no metric produces.*accuracy/top1"
    with pytest.raises(ConfigError, match=wanted):
        runner.train()
    assert steps.count == 0


def test_a_hook_registered_later_is_looked_at_too(tmp_path):
    runner, steps = runner_with(tmp_path)
    runner.register_hook(EarlyStoppingHook(monitor="mIoU"))
    with pytest.raises(ConfigError, match="watches 'mIoU'"):
        runner.train()
    assert steps.count == 0


def test_a_metric_of_the_users_own_is_taken_on_trust(tmp_path):
    runner, steps = runner_with(
        tmp_path,
        val_evaluator=[Score()],
        default_hooks={"checkpoint": {"save_best": "score", "rule": "greater"}},
    )
    runner.train()
    assert steps.count == 2


@pytest.mark.parametrize("monitor", ["accuracy/top1", "top1"])
def test_a_metric_that_will_be_is_followed(monitor, tmp_path):
    runner, steps = runner_with(
        tmp_path, custom_hooks=[{"type": "EarlyStoppingHook", "monitor": monitor}]
    )
    runner.train()
    assert steps.count == 2


def test_the_place_in_the_file_is_said(tmp_path):
    wrong = {"model": {"type": "ToyResNet"}, **WRONG["save_best"]}
    runner, _ = runner_with(tmp_path, **wrong)
    file = tmp_path / "config.py"
    text = runner.cfg.pretty_text
    file.write_text(text)
    line = 1 + text[: text.index("save_best")].count("\n")
    place = rf"default_hooks.checkpoint.save_best \(.*config.py:{line}\)"
    with pytest.raises(ConfigError, match=place):
        Runner.from_cfg(Config.fromfile(file)).train()

"""Whole runs with several optimizers, half precision and schedules that do not fit."""

import os
import shutil

import pytest
import torch
from torch import nn

from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.hooks.finite_loss import NonFiniteLossError
from loopwright.model import BaseModel
from loopwright.runner import Runner


class Players(BaseModel):
    """A generator and a critic, each with an optimizer and a schedule of its own."""

    def __init__(self, spoil: str = ""):
        super().__init__()
        torch.manual_seed(0)
        self.generator, self.critic = nn.Linear(64, 64), nn.Linear(64, 1)
        self.spoil, self.calls = spoil, 0

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return self.critic(self.generator(inputs.flatten(1)))

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        logs = {}
        self.calls += 1
        for name, sign in (("critic", 1.0), ("generator", -1.0)):
            with optim_wrapper[name].optim_context(self):
                own = self.generator(data["inputs"].flatten(1)) if self.spoil else None
                out = own if own is not None and name == "generator" else self(**data)
                loss = sign * out.float().square().mean()
            if self.spoil == name and self.calls == 2:
                loss = loss * float("inf")
            optim_wrapper[name].update_params(loss)
            logs[f"loss_{name}"] = loss.detach()
        return logs


FP16 = {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": {"init_scale": 64.0}}
ADAM = {"type": "AdamW", "lr": 0.01}


def line(**options):
    return {"type": "LinearLR", "start_factor": 0.5, "by_epoch": False, "end": 6, **options}


def game(config, folder, spoil="", **changes):
    wrapper = {
        "constructor": "MultiOptimWrapperConstructor",
        "generator": {**FP16, "optimizer": ADAM, "clip_grad": {"max_norm": 1.0}},
        "critic": {**FP16, "optimizer": {**ADAM, "lr": 0.02}, "accumulative_counts": 2},
    }
    schedules = {
        "generator": [line()],
        "critic": [line(type="MultiStepLR", milestones=[2], start_factor=None)],
    }
    schedules["critic"][0].pop("start_factor")
    every = {"type": "CheckpointHook", "interval": 1, "by_epoch": False}
    return Config(
        {
            **config,
            "model": Players(spoil),
            "work_dir": str(folder),
            "optim_wrapper": wrapper,
            "param_scheduler": schedules,
            "default_hooks": {"checkpoint": every},
            **changes,
        }
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def ended(runner):
    schedules = {n: [s.state_dict() for s in some] for n, some in runner.param_schedulers.items()}
    return runner.model.state_dict(), runner.optim_wrapper.state_dict(), schedules


def trained(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize("at", [3, 4])
def test_two_optimizers_in_half_precision_go_on_from_any_iteration(config, tmp_path, at):
    """At 3 the critic is in the middle of a window of two; always it holds foreign gradients."""
    straight = trained(game(config, tmp_path / "straight"))
    assert straight.iter == 6
    folder = tmp_path / "resumed"
    shutil.copytree(tmp_path / "straight", folder)
    for name in os.listdir(folder):
        if name.startswith("iter_") and int(name[5:]) > at:
            shutil.rmtree(folder / name)
    assert same(ended(trained(game(config, folder, resume=True))), ended(straight))


def test_each_optimizer_follows_its_own_schedules(config, tmp_path):
    runner = trained(game(config, tmp_path / "run"))
    lrs = runner.optim_wrapper.get_lr()
    assert lrs["generator.lr"] == pytest.approx([0.01])
    assert lrs["critic.lr"] == pytest.approx([0.002])


def test_an_overflow_of_one_holds_up_its_own_schedules_alone(config, tmp_path):
    runner = trained(game(config, tmp_path / "run", spoil="generator"))
    steps = {n: some[0].state_dict()["_global_step"] for n, some in runner.param_schedulers.items()}
    assert steps == {"generator": 5, "critic": 6}
    assert runner.optim_wrapper["generator"].metrics()["skipped_steps"] == 1.0


def test_a_loss_of_one_that_is_not_finite_stops_the_run(config, tmp_path):
    cfg = game(config, tmp_path / "run", spoil="critic")
    for part in ("generator", "critic"):
        cfg["optim_wrapper"][part] = {"optimizer": ADAM}
    cfg["default_hooks"] = {}
    with pytest.raises(NonFiniteLossError, match="iteration 1"):
        trained(cfg)


class Backwards(Hook):
    def __init__(self):
        self.seen = 0

    def after_backward(self, runner):
        self.seen += 1


def test_the_backwards_of_all_are_seen_by_hooks(config, tmp_path):
    hook = Backwards()
    trained(game(config, tmp_path / "run", custom_hooks=[hook]))
    assert hook.seen == 12


class Overflowing(BaseModel):
    """A loss that is infinite in its third step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.calls = nn.Linear(64, 3), 0

    def forward(self, inputs, data_samples=None, mode="tensor"):
        self.calls += 1
        loss = nn.functional.cross_entropy(self.net(inputs.flatten(1)).float(), data_samples)
        return {"loss": loss * (float("inf") if self.calls == 3 else 1.0)}


def half(config, folder, **changes):
    every = {"type": "CheckpointHook", "interval": 1, "by_epoch": False}
    wrapper = {**FP16, "optimizer": ADAM, "clip_grad": {"max_norm": 1.0}}
    return Config(
        {
            **config,
            "model": Overflowing(),
            "work_dir": str(folder),
            "optim_wrapper": wrapper,
            "param_scheduler": line(),
            "default_hooks": {"checkpoint": every},
            **changes,
        }
    )


def test_a_run_in_half_precision_skips_an_overflow_and_its_scale_is_saved(config, tmp_path):
    """Six batches, the third overflows: five steps of optimizer and schedule, half the scale."""
    runner = trained(half(config, tmp_path / "run"))
    wrapper = runner.optim_wrapper
    assert wrapper.optimizer.state[runner.model.net.weight]["step"].item() == 5
    assert runner.param_schedulers[0].state_dict()["_global_step"] == 5
    assert wrapper.metrics()["loss_scale"].item() == 32.0
    folder = tmp_path / "resumed"
    shutil.copytree(tmp_path / "run", folder)
    for name in ("iter_5", "iter_6"):
        shutil.rmtree(folder / name)
    again = trained(half(config, folder, resume=True))
    assert again.optim_wrapper.metrics()["skipped_steps"] == 1.0
    assert same(again.optim_wrapper.state_dict(), wrapper.state_dict())
    assert same(again.model.state_dict(), runner.model.state_dict())


def test_a_schedule_that_does_not_fit_is_told_before_training(config, capsys):
    """Of two epochs."""
    schedule = {"type": "MultiStepLR", "milestones": [1, 8]}
    runner = Runner.from_cfg(
        Config({**config, "param_scheduler": schedule, "log_level": "WARNING"})
    )
    runner.train()
    assert "milestone 8 never comes, the run ends at epoch 2" in capsys.readouterr().out


def test_schedules_for_an_optimizer_that_is_not_there_are_refused(config, tmp_path):
    cfg = game(config, tmp_path / "run")
    cfg["param_scheduler"]["discriminator"] = []
    with pytest.raises(KeyError, match="names an optimizer 'discriminator' that is not there"):
        trained(cfg)

"""What a plan says is what the run does: rates, groups, validations, checkpoints, order."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from loopwright.cli.main import main
from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.plan import make_plan
from loopwright.runner import Runner

EPOCHS = {"type": "EpochBasedTrainLoop", "max_epochs": 6}
ITERS = {"type": "IterBasedTrainLoop", "max_iters": 18, "val_interval": 5}
SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
ADAM = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05}
WARM = {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": 5}
RECIPES = {
    "steps of epochs": (EPOCHS, SGD, {}, [WARM, {"type": "MultiStepLR", "milestones": [2, 4]}]),
    "cosine of epochs": (EPOCHS, ADAM, {}, [{"type": "CosineAnnealingLR", "T_max": 6}]),
    "cosine converted": (
        EPOCHS,
        ADAM,
        {},
        [
            {"type": "LinearLR", "start_factor": 1e-4, "by_epoch": True, "begin": 0, "end": 2,
             "convert_to_iter_based": True},
            {"type": "CosineAnnealingLR", "T_max": 4, "by_epoch": True, "begin": 2, "end": 6,
             "eta_min": 1e-5, "convert_to_iter_based": True},
        ],
    ),
    "poly of iterations": (ITERS, SGD, {}, [{"type": "PolyLR", "power": 0.9, "by_epoch": False}]),
    "document 000": (
        ITERS,
        ADAM,
        {},
        [WARM, {"type": "CosineAnnealingLR", "T_max": 13, "begin": 5, "by_epoch": False}],
    ),
    "exponential": (EPOCHS, SGD, {}, [{"type": "ExponentialLR", "gamma": 0.7}]),
    "one cycle": (
        ITERS,
        SGD,
        {},
        [{"type": "OneCycleLR", "eta_max": 0.5, "total_steps": 18, "by_epoch": False}],
    ),
    "restarts": (
        ITERS,
        SGD,
        {},
        [{"type": "CosineRestartLR", "periods": [6, 12], "restart_weights": [1, 0.5],
          "eta_min": 0.001, "by_epoch": False}],
    ),
    "two groups": (
        EPOCHS,
        ADAM,
        {"norm_decay_mult": 0.0, "custom_keys": {"head": {"lr_mult": 10.0}}},
        [{"type": "StepLR", "step_size": 2, "gamma": 0.5}],
    ),
    "momentum too": (
        ITERS,
        SGD,
        {},
        [
            {"type": "CosineAnnealingLR", "T_max": 18, "by_epoch": False},
            {"type": "LinearMomentum", "start_factor": 0.5, "by_epoch": False, "end": 9},
        ],
    ),
}  # fmt: skip


class Watch(Hook):
    """Writes down what every group has during each iteration."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(
            [(g["lr"], g.get("momentum")) for g in runner.optim_wrapper.optimizer.param_groups]
        )


def config(name, folder):
    train, optimizer, paramwise, schedule = RECIPES[name]
    return {
        "model": {"type": "ToyResNet"},
        "work_dir": str(folder),
        "train_dataloader": {
            "batch_size": 4,
            "dataset": {"type": "ToyClasses", "length": 12},
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        "train_cfg": train,
        "optim_wrapper": {"optimizer": optimizer, "paramwise_cfg": paramwise},
        "param_scheduler": schedule,
        "log_level": "ERROR",
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": train is EPOCHS}
        },
    }


@pytest.fixture(scope="module", params=RECIPES)
def planned_and_run(request, tmp_path_factory):
    torch.set_num_threads(1)
    cfg = Config(config(request.param, tmp_path_factory.mktemp("run")))
    watch = Watch()
    plan = make_plan(cfg)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(watch)
    runner.train()
    return plan, runner, watch


def test_the_curve_is_what_the_optimizer_sees_at_every_step(planned_and_run):
    plan, runner, watch = planned_and_run
    curves = [c for c in plan.curves if c.entry == "lr"]
    assert curves[0].at == tuple(range(18))
    groups = runner.optim_wrapper.optimizer.param_groups
    for curve in curves:
        index = next(
            i
            for i, g in enumerate(groups)
            if curve.label in g.get("param_names", ["group"]) or len(groups) == 1
        )
        assert [step[index][0] for step in watch.seen] == pytest.approx(
            list(curve.values), rel=1e-12
        )


def test_momentum_is_planned_as_it_moves(planned_and_run):
    plan, _, watch = planned_and_run
    for curve in (c for c in plan.curves if c.entry == "momentum"):
        assert [step[0][1] for step in watch.seen] == pytest.approx(list(curve.values), rel=1e-12)


def test_the_group_table_is_the_optimizers(planned_and_run):
    plan, runner, _ = planned_and_run
    built = runner.optim_wrapper.optimizer.param_groups
    assert len(plan.model.groups) == len(built)
    for told, group in zip(plan.model.groups, built, strict=True):
        assert told.tensors == len(group["params"])
        assert told.parameters == sum(p.numel() for p in group["params"])
        assert told.options["weight_decay"] == group["weight_decay"]
        assert told.options["lr"] == pytest.approx(group["initial_lr"]) or "eta_max" in str(
            runner.cfg["param_scheduler"]
        )


def test_checkpoints_come_when_the_plan_says(planned_and_run):
    plan, runner, _ = planned_and_run
    prefix = plan.facts.checkpoint_unit
    assert runner.store.names() == [f"{prefix}_{k}" for k in plan.facts.checkpoints]


def test_hooks_run_in_the_planned_order(planned_and_run):
    plan, runner, _ = planned_and_run
    ran = [type(h).__name__ for h in runner.hooks if not isinstance(h, Watch)]
    assert [h.name for h in plan.hooks] == ran


def test_a_config_without_a_model_is_planned_without_torch(tmp_path):
    file = tmp_path / "schedule.py"
    file.write_text(
        "optim_wrapper = dict(optimizer=dict(type='AdamW', lr=6e-5))\n"
        "param_scheduler = dict(type='CosineAnnealingLR', T_max=80, by_epoch=False)\n"
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=80)\n"
    )
    code = (
        "import sys\n"
        "from loopwright.config import Config\n"
        "from loopwright.plan import make_plan\n"
        f"plan = make_plan(Config.fromfile({str(file)!r}))\n"
        "assert 'torch' not in sys.modules\n"
        "assert plan.curves[0].values[0] == 6e-5\n"
        "assert not plan.findings, plan.findings\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        (Path(__file__).parent / "whole.txt")
        .read_text()
        .replace("ToyResNet", "ResNet")
        .replace("ToyClasses', length=12", "DigitsClassification'")
    )
    return path


def test_the_command_prints_json_and_draws_html_and_png(file, tmp_path):
    drawn = ("--html", str(tmp_path / "p.html"), "--png", str(tmp_path / "p.png"))
    done = CliRunner().invoke(main, ["plan", str(file), "--json", *drawn])
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.exit_code
    assert told["sizes"]["max_epochs"] == 12
    page = (tmp_path / "p.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_ends_with_two_for_a_mistake(file):
    file.write_text(file.read_text().replace("momentum=0.9", "momentun=0.9"))
    done = CliRunner().invoke(main, ["plan", str(file)])
    assert done.exit_code == 2
    assert "did you mean 'momentum'" in " ".join(done.stdout.replace("│", " ").split())

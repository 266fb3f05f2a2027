"""One model, three ways: a plain loop, SimpleTrainer and Runner end with the same weights."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from loopwright.data import build_dataloader, seed_step
from loopwright.hooks import Hook
from loopwright.optim import OptimWrapper, build_param_scheduler
from loopwright.runner import Runner
from loopwright.trainer import HookBase, LRScheduler, SimpleTrainer, endless

ITERATIONS, SEED = 25, 3
SCHEDULE = [
    {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 5},
    {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 5, "end": ITERATIONS, "T_max": 20},
]
RECIPE = Path(__file__).parents[2] / "recipes" / "plain_loop" / "train.py"


class Net(nn.Module):
    """Two layers with dropout between; tells its losses when it trains."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.second = nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1)

    def forward(self, batch):
        out = self.second(self.drop(torch.tanh(self.first(batch))))
        return {"loss_fit": (out - 1).square().mean(), "loss_size": 0.1 * out.abs().mean()}


def loader_config():
    data = torch.randn(22, 4, generator=torch.Generator().manual_seed(1))
    return {
        "dataset": [*data],
        "batch_size": 4,
        "sampler": {"type": "DefaultSampler", "shuffle": True, "seed": SEED},
        "collate_fn": {"type": "default_collate"},
    }


def wrapper_of(model):
    sgd = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    return OptimWrapper(sgd, clip_grad={"max_norm": 0.5})


def plain_loop():
    model = Net()
    wrapper = wrapper_of(model)
    schedules = build_param_scheduler(SCHEDULE, wrapper, max_iters=ITERATIONS)
    batches = endless(build_dataloader(loader_config(), seed=SEED))
    for iteration in range(ITERATIONS):
        batch = next(batches)
        seed_step(SEED, iteration)
        losses = model(batch)
        wrapper.update_params(losses["loss_fit"] + losses["loss_size"])
        for schedule in schedules:
            schedule.step()
    return model


def simple_trainer():
    model = Net()
    wrapper = wrapper_of(model)
    loader = build_dataloader(loader_config(), seed=SEED)
    trainer = SimpleTrainer(model, loader, wrapper, seed=SEED)
    schedules = build_param_scheduler(SCHEDULE, wrapper, max_iters=ITERATIONS)
    trainer.register_hooks([LRScheduler(scheduler=schedules)])
    trainer.train(0, ITERATIONS)
    return model


def runner_in(folder, **more):
    model = Net()
    return Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=loader_config(),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": ITERATIONS},
        optim_wrapper=wrapper_of(model),
        param_scheduler=SCHEDULE,
        randomness={"seed": SEED},
        log_level="ERROR",
        **more,
    )


def test_a_plain_loop_a_trainer_and_a_runner_give_equal_weights(tmp_path):
    runner = runner_in(tmp_path)
    runner.train()
    found = [model.state_dict() for model in (plain_loop(), simple_trainer(), runner.model)]
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), f"trainer: {name}"
        assert torch.equal(value, found[2][name]), f"runner: {name}"


def test_a_hook_of_detectron2_runs_on_a_runner(tmp_path):
    seen = []

    class Watch(HookBase):
        def before_train(self):
            seen.append(("before_train", self.trainer.iter, self.trainer.max_iter))

        def after_backward(self):
            has = self.trainer.model.first.weight.grad is not None
            seen.append(("after_backward", self.trainer.iter, has))

        def after_step(self):
            if self.trainer.iter == 1:
                self.trainer.storage.put_scalar(
                    "lr_seen", self.trainer.optimizer.param_groups[0]["lr"]
                )

        def after_train(self):
            seen.append(("after_train", self.trainer.iter))

    runner = runner_in(tmp_path, custom_hooks=[Watch()])
    runner.train()
    assert seen[0] == ("before_train", 0, ITERATIONS)
    assert seen[1:-1] == [("after_backward", i, True) for i in range(ITERATIONS)]
    assert seen[-1] == ("after_train", ITERATIONS)
    assert runner.storage.history("lr_seen").values()[0][1] == 1


def test_one_list_of_hooks_of_both_dialects_sees_the_same_on_both_faces(tmp_path):
    def hooks(log):
        class Theirs(HookBase):
            def before_step(self):
                log.append(("before_step", self.trainer.iter))

            def after_step(self):
                log.append(("after_step", self.trainer.iter))

        class Ours(Hook):
            def before_train_iter(self, runner, batch_idx, data_batch=None):
                log.append(("before_iter", runner.iter, batch_idx, data_batch.sum().item()))

            def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
                log.append(("after_iter", runner.iter, float(outputs["loss_fit"])))

        return [Theirs(), Ours()]

    on_runner, on_trainer = [], []
    runner_in(tmp_path, custom_hooks=hooks(on_runner)).train()
    model = Net()
    wrapper = wrapper_of(model)
    trainer = SimpleTrainer(model, build_dataloader(loader_config(), seed=SEED), wrapper, seed=SEED)
    schedules = build_param_scheduler(SCHEDULE, wrapper, max_iters=ITERATIONS)
    trainer.register_hooks([*hooks(on_trainer), LRScheduler(scheduler=schedules)])
    trainer.train(0, ITERATIONS)
    assert on_runner == on_trainer
    assert len(on_runner) == 4 * ITERATIONS


@pytest.fixture
def recipe():
    spec = importlib.util.spec_from_file_location("plain_loop_recipe", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_plain_loop_of_the_recipes_is_short_and_goes_on_where_it_was(tmp_path, recipe):
    assert len(RECIPE.read_text(encoding="utf-8").splitlines()) < 120
    whole, parts = str(tmp_path / "whole"), tmp_path / "parts"
    recipe.main(whole, 120, False)
    recipe.main(str(parts), 120, False)
    for name in ("model_final.pth",):
        (parts / name).unlink()
    recipe.main(str(parts), 120, True)
    states = [torch.load(f"{f}/model_final.pth", weights_only=True) for f in (whole, parts)]
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name
    logs = [Path(f, "metrics.json").read_text().splitlines() for f in (whole, parts)]
    assert [json.loads(x) for x in logs[0]] == [json.loads(x) for x in logs[1]]

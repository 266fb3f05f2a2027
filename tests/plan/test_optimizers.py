"""Plans of several optimizers, and of torch's schedules: what the run then does, at every step."""

import inspect

import pytest
import torch
from torch import nn

from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.model import BaseModel
from loopwright.optim.optimizers import optimizer_defaults
from loopwright.plan import check, make_plan, model_part, optimizers
from loopwright.plan.data import to_data
from loopwright.plan.optimizers import DEFAULTS, SCHEDULED
from loopwright.registry import FUNCTIONS, MODELS
from loopwright.runner import Runner


@MODELS.register_module(force=True)
class PlanPair(BaseModel):
    """Two halves with an optimizer each, as a generator and a discriminator."""

    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.right = nn.Linear(2, 2)
        self.idle = nn.Linear(2, 1)

    def train_step(self, data, optim_wrapper):
        inputs = torch.ones(4, 2)
        for name, part in (("g", self.left), ("d", self.right)):
            optim_wrapper[name].update_params(part(inputs).square().mean())
        return {"loss": torch.zeros(())}

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return self.right(self.left(inputs))


class Watch(Hook):
    """Writes down lr and momentum of every group during each iteration."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        wrapper = runner.optim_wrapper
        named = wrapper.items() if hasattr(wrapper, "items") else [("", wrapper)]
        self.seen.append(
            {n: [(g["lr"], momentum(g)) for g in w.optimizer.param_groups] for n, w in named}
        )


def momentum(group):
    return group["momentum"] if "momentum" in group else group["betas"][0]


G = {"optimizer": {"type": "SGD", "lr": 0.2}, "paramwise_cfg": {"norm_decay_mult": 0.0}}
G["optimizer"]["weight_decay"] = 0.1
D = {"optimizer": {"type": "AdamW", "lr": 0.01}, "accumulative_counts": 2}
PAIR = {"constructor": "MultiOptimWrapperConstructor", "g": {**G, "modules": "^left"}, "d": D}
PAIR["d"] = {**D, "modules": "^right$"}
ONE = {"optimizer": {"type": "SGD", "lr": 0.2, "momentum": 0.9}}
STEP = {"type": "StepLR", "step_size": 2}
UP = {"type": "LinearLR", "start_factor": 0.1, "end": 5, "by_epoch": False}
TORCH = "torch.optim.lr_scheduler."
CYCLIC = {"type": "CyclicLR", "base_lr": 0.01, "max_lr": 0.3, "step_size_up": 3}
RUNS = {
    "a schedule that all share": (PAIR, STEP),
    "schedules of their own": (PAIR, {"g": [STEP], "d": [UP]}),
    "a cycle of one": (PAIR, {"g": [UP], "d": [{**CYCLIC, "cycle_momentum": False}]}),
    "a cycle with momentum": (ONE, CYCLIC),
    "a cycle, accumulated": ({**ONE, "accumulative_counts": 5}, CYCLIC),
    "one cycle": (ONE, {"type": "OneCycleLR", "max_lr": 0.5, "total_steps": 12}),
    "one cycle, accumulated": (
        {**ONE, "accumulative_counts": 5},
        {"type": "OneCycleLR", "max_lr": 0.5, "epochs": 1, "steps_per_epoch": 3},
    ),
    "restarts of epochs": (
        ONE,
        {"type": "CosineAnnealingWarmRestarts", "T_0": 2, "by_epoch": True},
    ),
    "a warm-up of ours, steps of torch": (
        ONE,
        [UP, {"type": f"{TORCH}StepLR", "step_size": 2, "by_epoch": True}],
    ),
    "a polynomial of torch": (ONE, {"type": "PolynomialLR", "total_iters": 9, "by_epoch": False}),
    "Adam's betas": (
        {"optimizer": {"type": "AdamW", "lr": 0.01}},
        {"type": "OneCycleLR", "max_lr": 0.5, "total_steps": 12},
    ),
}


@MODELS.register_module(force=True)
class PlanOne(BaseModel):
    """One layer with one optimizer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return {"loss": self.layer(torch.ones(4, 2)).square().mean()}


def config(wrapper, schedule, folder, **more):
    return Config(
        {
            "model": {"type": "PlanPair" if wrapper is PAIR else "PlanOne"},
            "work_dir": str(folder),
            "train_dataloader": {
                "batch_size": 4,
                "dataset": {"type": "ToyClasses", "length": 12},
                "sampler": {"type": "DefaultSampler", "shuffle": True},
                "collate_fn": {"type": "default_collate"},
            },
            "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 4},
            "optim_wrapper": wrapper,
            "param_scheduler": schedule,
            "log_level": "ERROR",
            **more,
        }
    )


@pytest.mark.parametrize("name", RUNS)
def test_curves_and_groups_are_those_of_the_run(name, tmp_path):
    cfg, watch = config(*RUNS[name], tmp_path), Watch()
    plan = make_plan(cfg)
    assert plan.errors == []
    runner = Runner.from_cfg(cfg)
    runner.register_hook(watch)
    runner.train()
    wrapper = runner.optim_wrapper
    built = dict(wrapper.items()) if hasattr(wrapper, "items") else {"": wrapper}
    for optimizer, one in built.items():
        told = [g for g in plan.model.groups if g.optimizer == optimizer]
        groups = one.optimizer.param_groups
        assert [g.tensors for g in told] == [len(g["params"]) for g in groups]
        label = f"{optimizer}: {told[0].names[0]}" if optimizer else told[0].names[0]
        entries = {c.entry: c.values for c in plan.curves if c.label == label}
        assert [s[optimizer][0][0] for s in watch.seen] == pytest.approx(entries["lr"], rel=1e-12)
        if "momentum" in entries:
            seen = [s[optimizer][0][1] for s in watch.seen]
            assert seen == pytest.approx(entries["momentum"], rel=1e-12)


@FUNCTIONS.register_module(force=True)
def plan_thirds(step):
    """A factor for LambdaLR, as a user's function gives one."""
    return 1 / (1 + step % 3)


HALF = {"type": "ConstantLR", "factor": 0.5, "total_iters": 3}
FALL = {"type": "ExponentialLR", "gamma": 0.9}
CODE = {
    "a function": [UP, {"type": "LambdaLR", "lr_lambda": "plan_thirds", "by_epoch": True}],
    "one after another": {
        "type": "SequentialLR",
        "schedulers": [HALF, FALL],
        "milestones": [4],
        "by_epoch": False,
    },
    "together": {"type": "ChainedScheduler", "schedulers": [HALF, FALL], "by_epoch": False},
}


@pytest.mark.parametrize("name", CODE)
def test_what_holds_code_is_drawn_where_the_code_may_be_imported(name, tmp_path):
    cfg, watch = config(ONE, CODE[name], tmp_path), Watch()
    assert "--import" in " ".join(make_plan(cfg).notes)
    plan = make_plan(cfg, imported=True)
    assert plan.errors == []
    assert not any("leave it out" in note for note in plan.notes)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(watch)
    runner.train()
    [curve] = plan.curves
    seen = [step[""][0][0] for step in watch.seen]
    assert len(set(seen)) > 2
    assert seen == pytest.approx(curve.values, rel=1e-12)


def test_code_that_fails_is_a_note_of_the_plan_and_no_crash(tmp_path):
    broken = {"type": "LambdaLR", "lr_lambda": "plan_thirds", "by_epoch": False}
    far = config(ONE, broken, tmp_path)
    far["train_cfg"] = {"type": "IterBasedTrainLoop", "max_iters": 10**6}
    assert "too many to step through" in " ".join(make_plan(far, imported=True).notes)


def test_each_optimizer_has_its_rows_with_the_whole_models_names(tmp_path):
    plan = make_plan(config(PAIR, STEP, tmp_path))
    rows = [(g["optimizer"], g["names"]) for g in to_data(plan)["groups"]]
    assert rows == [
        ("g", ["left.0.weight", "left.0.bias"]),
        ("g", ["left.1.weight", "left.1.bias"]),
        ("d", ["right.weight", "right.bias"]),
    ]
    groups = {p.name: p.group for p in plan.model.parameters}
    assert groups["left.1.bias"] == 1
    assert groups["right.bias"] == 2
    assert plan.model.memory["optimizer state"] == 2 * 4 * 6  # SGD without momentum keeps none


def test_what_no_optimizer_trains_is_told(tmp_path):
    plan = make_plan(config(PAIR, STEP, tmp_path))
    assert [f.message for f in plan.warnings] == [
        "no optimizer trains 2 parameters: idle.weight, idle.bias"
    ]


def test_what_two_optimizers_train_is_told(tmp_path):
    both = {**PAIR, "e": {**D, "modules": ["left.0", "idle"]}}
    plan = make_plan(Config({**config(PAIR, None, tmp_path)._cfg_dict, "optim_wrapper": both}))
    told = [f.message for f in plan.warnings if f.path == "optim_wrapper"]
    assert told == ["2 parameters are trained by g and e: left.0.weight"]


def test_a_schedule_for_an_optimizer_that_is_not_there_is_an_error_also_when_building(tmp_path):
    cfg = config(PAIR, {"g": [STEP], "dd": [STEP]}, tmp_path)
    told = " ".join(str(f) for f in make_plan(cfg).errors)
    assert "param_scheduler.dd" in told
    assert "did you mean 'd'" in told
    assert "no schedules for the optimizer 'd'" in told
    with pytest.raises(KeyError, match="optimizer"):
        Runner.from_cfg(cfg).train()


def test_an_optimizer_without_a_constructor_for_many_is_an_error(tmp_path):
    wrapper = {"g": G, "d": D}
    told = [f.message for f in make_plan(config(wrapper, None, tmp_path)).errors]
    assert any("MultiOptimWrapperConstructor" in message for message in told)


def test_the_learning_rate_of_every_optimizer_is_scaled(tmp_path):
    scale = {"enable": True, "base_batch_size": 2}
    plan = make_plan(config(PAIR, None, tmp_path, auto_scale_lr=scale))
    assert "auto_scale_lr: g: lr 0.2 x 4 / 2 = 0.4" in plan.notes
    assert {g.optimizer: g.options["lr"] for g in plan.model.groups} == {"g": 0.4, "d": 0.02}


OPTIMIZERS = [
    name
    for name, found in vars(torch.optim).items()
    if isinstance(found, type) and found is not torch.optim.Optimizer
]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_no_optimizer_of_torch_is_refused_for_what_it_is_tried_on(kind, tmp_path):
    wrapper = {"optimizer": {"type": kind, "lr": 0.1}}
    assert not [f for f in check(config(wrapper, None, tmp_path)) if f.level == "error"]


def test_without_torch_the_rates_start_where_the_optimizers_do():
    for kind, told in DEFAULTS.items():
        taken = {k: v for k, v in optimizer_defaults({"type": kind}).items() if k in SCHEDULED}
        assert told == taken, kind
        assert "params" in inspect.signature(getattr(torch.optim, kind)).parameters


def test_sharding_divides_what_the_ranks_share(tmp_path):
    cfg = config(ONE, None, tmp_path)
    alone = make_plan(cfg, world=2).model.memory
    cfg["model_wrapper_cfg"] = {"type": "MMFullyShardedDataParallel"}
    shared = make_plan(cfg, world=2).model.memory
    for name in ("parameters", "gradients", "optimizer state"):
        assert shared[name] * 2 == alone[name] > 0


def test_a_split_optimizer_starts_and_keeps_what_the_one_it_splits_does():
    plain = {"optimizer": {"type": "SGD", "momentum": 0.9}}
    split = {"optimizer": {**plain["optimizer"], "type": "ZeroRedundancyOptimizer"}}
    split["optimizer"]["optimizer_type"] = "SGD"
    assert optimizers.entries_of(split) == optimizers.entries_of(plain)
    assert model_part._states(split["optimizer"]) == model_part._states(plain["optimizer"]) == 1


def test_a_cycle_is_measured_by_the_updates_of_its_own_optimizer(tmp_path):
    cycle = {"type": "OneCycleLR", "max_lr": 0.5, "cycle_momentum": False}
    fits = {"g": [{**cycle, "total_steps": 12}], "d": [{**cycle, "total_steps": 6}]}
    assert make_plan(config(PAIR, fits, tmp_path)).errors == []
    short = {"g": [{**cycle, "total_steps": 6}], "d": [{**cycle, "total_steps": 6}]}
    [error] = make_plan(config(PAIR, short, tmp_path)).errors
    assert error.path == "param_scheduler.g.0.total_steps"
    assert "the run makes 12 updates" in error.message

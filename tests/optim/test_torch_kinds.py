"""torch's schedules without torch: the numbers are those that torch's own classes give."""

import inspect

import pytest
import torch
from torch.optim import lr_scheduler

from loopwright.optim.checks import entry_findings
from loopwright.optim.curves import curve
from loopwright.optim.torch_kinds import OURS, PER_UPDATE, PER_VALIDATION, TORCH, UNDRAWN

STEPS = 30
GROUPS = [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.02, "momentum": 0.9}]
CYCLE = {"base_lr": 0.01, "max_lr": 0.3}
CASES = [
    ("StepLR", {"step_size": 3}),
    ("MultiStepLR", {"milestones": [0, 2, 2, 7], "gamma": 0.5}),
    ("ConstantLR", {"total_iters": 4}),
    ("LinearLR", {"total_iters": 6, "start_factor": 0.1}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("PolynomialLR", {"total_iters": 8, "power": 2.0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    ("CyclicLR", {**CYCLE, "step_size_up": 3, "step_size_down": 5}),
    ("CyclicLR", {**CYCLE, "step_size_up": 4, "mode": "triangular2"}),
    ("CyclicLR", {**CYCLE, "step_size_up": 4, "mode": "exp_range", "gamma": 0.97}),
    ("CyclicLR", {"base_lr": [0.01, 0.02], "max_lr": 0.3, "step_size_up": 4}),
    ("CyclicLR", {**CYCLE, "step_size_up": 4, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 2 * STEPS, "base_momentum": 0.7}),
    (
        "OneCycleLR",
        {"max_lr": 0.5, "epochs": 3, "steps_per_epoch": 10, "three_phase": True,
         "anneal_strategy": "linear", "pct_start": 0.4},
    ),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "total_steps": 40, "cycle_momentum": False}),
]  # fmt: skip


def stepped(name, options):
    """(lr, momentum) of each group during each step of torch's own scheduler."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], **group} for group in GROUPS]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    scheduler = getattr(lr_scheduler, name)(optimizer, **options)
    seen = []
    for _ in range(STEPS):
        seen.append([(g["lr"], g["momentum"]) for g in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}{o}" for n, o in CASES])
def test_the_curve_is_what_torch_does_step_by_step(name, options):
    entry = {"type": f"torch.optim.lr_scheduler.{name}", "by_epoch": False, **options}
    drawn = curve(entry, GROUPS, max_iters=STEPS)
    seen = stepped(name, options)
    for index in range(len(GROUPS)):
        lrs, momenta = zip(*(step[index] for step in seen), strict=True)
        assert drawn["lr"][index] == pytest.approx(lrs, rel=1e-12, abs=1e-18)
        told = drawn.get("momentum", [[0.9] * STEPS] * 2)
        assert told[index] == pytest.approx(momenta, rel=1e-12)


@pytest.mark.parametrize("name", TORCH)
def test_the_arguments_are_torchs_with_torchs_defaults(name):
    theirs = dict(inspect.signature(getattr(lr_scheduler, name)).parameters)
    del theirs["optimizer"]
    ours = inspect.signature(TORCH[name]).parameters
    assert {k: p.default for k, p in ours.items()} == {k: p.default for k, p in theirs.items()}


def test_every_scheduler_of_torch_is_drawn_or_known_not_to_be():
    theirs = set(lr_scheduler.__all__) - {"LRScheduler"}
    assert theirs | {"SWALR"} == {*TORCH, *UNDRAWN}
    assert theirs >= {*OURS, *PER_UPDATE, *PER_VALIDATION}


def test_a_bare_name_that_both_have_means_ours():
    ours = curve({"type": "LinearLR", "end": 4}, GROUPS, max_iters=8, max_epochs=8, epoch_length=1)
    dotted = {"type": "torch.optim.lr_scheduler.LinearLR", "by_epoch": True}
    theirs = curve(dotted, GROUPS, max_iters=8, max_epochs=8, epoch_length=1)
    assert ours["lr"][0][3] == pytest.approx(0.1)
    assert theirs["lr"][0][3] != pytest.approx(0.1)


def test_a_cycle_steps_once_an_update():
    entry = {"type": "CyclicLR", **CYCLE, "step_size_up": 2, "cycle_momentum": False}
    each = curve(entry, GROUPS, max_iters=5)["lr"][0]
    third = curve(entry, GROUPS, max_iters=14, accumulation=3)["lr"][0]
    assert third == pytest.approx([each[i // 3] for i in range(14)])


def test_what_has_a_range_for_each_group_is_left_where_it_is():
    entry = {"type": "CyclicLR", "base_lr": 0.1, "max_lr": [0.2, 0.3], "cycle_momentum": False}
    assert curve(entry, GROUPS, max_iters=3)["lr"] == [[0.1] * 3, [0.02] * 3]


def test_a_one_cycle_shorter_than_the_run_is_an_error_because_torch_raises():
    entry = {"type": "OneCycleLR", "max_lr": 0.5, "epochs": 2, "steps_per_epoch": 10}
    said = entry_findings(entry, max_iters=30)
    assert said == [("error", "total_steps=20, but the run makes 30 updates: torch stops it there")]
    with pytest.raises(ValueError, match="20"):
        stepped("OneCycleLR", {"max_lr": 0.5, "epochs": 2, "steps_per_epoch": 10})


def test_a_misspelt_option_of_torchs_says_the_right_one():
    entry = {"type": "torch.optim.lr_scheduler.StepLR", "by_epoch": True, "step_sise": 2}
    [(level, message)] = entry_findings(entry, max_iters=4)
    assert level == "error"
    assert "did you mean 'step_size'" in message

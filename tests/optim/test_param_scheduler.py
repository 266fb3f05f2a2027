"""Param schedulers on real optimizers: ranges, resuming, momentum, classes of one's own."""

import json
import warnings

import pytest
import torch
from torch import nn

from loopwright.optim import (
    CosineAnnealingLR,
    LinearLR,
    LinearMomentum,
    LRSchedulerMixin,
    MultiStepLR,
    OneCycleLR,
    OptimWrapper,
    ParamScheduler,
    build_param_scheduler,
    resume_schedulers,
    schedule_findings,
)


def sgd(*lrs: float) -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=lrs[0], momentum=0.9)


def lrs(optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def test_step_zero_is_made_when_a_scheduler_is_built():
    optimizer = sgd(1.0)
    LinearLR(optimizer, start_factor=0.5, end=3)
    assert lrs(optimizer) == [0.5]


def test_schedulers_chain_through_the_value():
    optimizer = sgd(1.0)
    both = [MultiStepLR(optimizer, [1], gamma=0.5), MultiStepLR(optimizer, [1], gamma=0.1)]
    for scheduler in both:
        scheduler.step()
    assert lrs(optimizer) == pytest.approx([0.05])


def test_milestones_count_from_begin():
    optimizer = sgd(1.0)
    scheduler = MultiStepLR(optimizer, [2], gamma=0.5, begin=3)
    values = [lrs(optimizer)[0]]
    for _ in range(6):
        scheduler.step()
        values += lrs(optimizer)
    assert values == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_base_group_of_a_wrapper_moves_with_the_others():
    wrapper = OptimWrapper(sgd(1.0, 0.1))
    LinearLR(wrapper, start_factor=0.5, end=3)
    assert lrs(wrapper) == [0.5, 0.05, 0.5]
    assert wrapper.get_lr() == {"lr": [0.5, 0.05], "base_lr": [0.5]}


def test_a_tensor_valued_lr_is_moved_in_place():
    lr = torch.tensor(1.0)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=lr)
    CosineAnnealingLR(optimizer, T_max=2).step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == pytest.approx(0.5)


def test_a_class_of_ones_own_gives_the_values_itself():
    class Alternate(LRSchedulerMixin, ParamScheduler):
        def _get_value(self):
            return [base * (self.last_step % 2) for base in self.base_values]

    optimizer = sgd(0.5)
    scheduler = Alternate(optimizer, end=10)
    seen = lrs(optimizer)
    scheduler.step()
    assert seen + lrs(optimizer) == [0.0, 0.5]


def test_a_momentum_schedule_writes_the_first_beta_of_adam():
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], betas=(0.8, 0.99))
    LinearMomentum(optimizer, start_factor=0.5, end=3)
    assert optimizer.param_groups[0]["betas"] == (0.4, 0.99)


def test_a_momentum_schedule_needs_a_momentum():
    with pytest.raises(ValueError, match="`momentum` or `betas`"):
        LinearMomentum(torch.optim.Adagrad([nn.Parameter(torch.zeros(1))]), end=3)


def test_an_unknown_entry_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'momentum'"):
        ParamScheduler(sgd(1.0), "momentun")


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match=r"end \(3\) must be after begin \(5\)"):
        LinearLR(sgd(1.0), begin=5, end=3)


def test_something_without_groups_is_refused():
    with pytest.raises(TypeError, match="an optimizer or an OptimWrapper"):
        LinearLR(object(), end=3)


def test_building_from_epochs_gives_a_schedule_of_iterations():
    scheduler = MultiStepLR.build_iter_from_epoch(sgd(1.0), milestones=[1, 2], epoch_length=10)
    assert (scheduler.by_epoch, scheduler.milestones) == (False, [10, 20])
    with pytest.raises(ValueError, match="counted in epochs"):
        MultiStepLR.build_iter_from_epoch(sgd(1.0), milestones=[1], epoch_length=9, by_epoch=False)


def test_one_cycle_takes_a_peak_a_group():
    optimizer = sgd(1.0, 1.0)
    OneCycleLR(optimizer, eta_max=[0.5, 0.1], total_steps=10, div_factor=10)
    assert lrs(optimizer) == pytest.approx([0.05, 0.01])
    with pytest.raises(ValueError, match="3 values for 2 groups"):
        OneCycleLR(sgd(1.0, 1.0), eta_max=[1.0, 1.0, 1.0], total_steps=10)


def cosine(optimizer, max_epochs: int):
    cfg = {"type": "CosineAnnealingLR", "eta_min": 0.0}
    return build_param_scheduler(cfg, optimizer, max_epochs=max_epochs)


def saved_at(steps: int, max_epochs: int):
    optimizer = sgd(1.0)
    (scheduler,) = cosine(optimizer, max_epochs)
    for _ in range(steps):
        scheduler.step()
    return optimizer.state_dict(), json.loads(json.dumps(scheduler.state_dict()))


def test_an_unchanged_schedule_goes_on_without_a_word():
    state, saved = saved_at(3, max_epochs=6)
    optimizer = sgd(1.0)
    (scheduler,) = cosine(optimizer, max_epochs=6)
    optimizer.load_state_dict(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.load_state_dict(saved)
    whole = sgd(1.0)
    (straight,) = cosine(whole, max_epochs=6)
    for _ in range(3):
        straight.step()
    for _ in range(2):
        straight.step()
        scheduler.step()
        assert lrs(optimizer) == lrs(whole)


def test_a_longer_run_goes_on_from_the_saved_value_to_its_own_end():
    state, saved = saved_at(3, max_epochs=6)
    optimizer = sgd(1.0)
    (scheduler,) = cosine(optimizer, max_epochs=12)
    optimizer.load_state_dict(state)
    with pytest.warns(UserWarning, match=r"T_max was 6, is 12.*go on from the saved ones"):
        scheduler.load_state_dict(saved)
    values = lrs(optimizer)
    for _ in range(8):
        scheduler.step()
        values += lrs(optimizer)
    assert values[0] == pytest.approx(0.5)
    assert values == sorted(values, reverse=True)
    assert values[0] - values[1] < 0.1
    assert 0 < values[-1] < 0.05


def test_a_longer_run_may_keep_the_saved_schedule():
    state, saved = saved_at(3, max_epochs=6)
    optimizer = sgd(1.0)
    (scheduler,) = cosine(optimizer, max_epochs=12)
    optimizer.load_state_dict(state)
    scheduler.load_state_dict(saved, changed="keep")
    for _ in range(8):
        scheduler.step()
    assert (scheduler.end, scheduler.T_max) == (6, 6)
    assert lrs(optimizer)[0] == pytest.approx(0.5 * (1 + torch.cos(torch.tensor(torch.pi * 5 / 6))))


def test_an_unknown_way_to_resume_is_refused():
    _, saved = saved_at(1, max_epochs=6)
    with pytest.raises(ValueError, match="'continue' or 'keep'"):
        cosine(sgd(1.0), 6)[0].load_state_dict(saved, changed="ask")


def test_a_schedule_that_is_new_counts_from_where_the_run_stands():
    optimizer = sgd(1.0)
    first, second = MultiStepLR(optimizer, [2]), MultiStepLR(optimizer, [5], gamma=0.5)
    state = first.state_dict() | {"_global_step": 4, "last_step": 4}
    with pytest.warns(UserWarning, match="was not in the saved run; it counts from 4"):
        resume_schedulers([first, second], [state], iter=40, epoch=4)
    second.step()
    assert lrs(optimizer) == [0.5]


def test_a_schedule_that_is_gone_is_named():
    optimizer = sgd(1.0)
    scheduler = MultiStepLR(optimizer, [2])
    with pytest.warns(UserWarning, match="had 2 param schedulers, the config has 1"):
        resume_schedulers([scheduler], [scheduler.state_dict()] * 2, iter=0, epoch=0)


def test_a_schedule_whose_unit_changed_goes_on_as_it_was_saved():
    optimizer = sgd(1.0)
    scheduler = LinearLR(optimizer, by_epoch=False, end=50)
    other = LinearLR(sgd(1.0), by_epoch=True, end=5)
    with pytest.warns(UserWarning, match="counted otherwise"):
        scheduler.load_state_dict(other.state_dict())
    assert scheduler.by_epoch is True
    assert scheduler.end == 5


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "LinearLR", "by_epoch": "yes"}, "LinearLR: by_epoch must be True or False"),
        ({"type": "LinearLR", "begin": "0"}, "LinearLR: begin must be a number, got '0'"),
        ({"type": "MultiStepLR", "milestones": 8}, "milestones must be a list of numbers, got 8"),
        ({"type": "MultiStepLR", "milestones": "8"}, "milestones must be a list of numbers"),
        ({"type": "MultiStepLR", "milestones": [8, "9"]}, r"milestones\[1\] must be a number"),
        ({"type": "MultiStepLR", "milestones": [8], "gamma": "0.1"}, "gamma must be a number"),
        ({"type": "CosineAnnealingLR", "T_max": 0}, "T_max must be more than 0"),
        ({"type": "PolyLR", "power": "1"}, "power must be a number"),
        ({"type": "LinearLR", "convert_to_iter_based": "no"}, "must be True or False"),
        ({"type": "LinearLR", "param_name": "lr"}, "moves the lr: .* LinearParamScheduler"),
        ({"type": "ReduceOnPlateauLR", "patience": 1.5}, "patience must be a whole number"),
        ({"gamma": 0.1}, "needs `type`, got only gamma$"),
        ({"gen": [], "disc": []}, "got only gen, disc; schedulers by name are for several"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_before_training(entry: dict, message: str):
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    with pytest.raises((TypeError, ValueError), match=message):
        build_param_scheduler(entry, OptimWrapper(sgd), epoch_length=2, max_epochs=3, max_iters=6)


def test_a_verbose_schedule_says_its_values(capsys):
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    step = {"type": "StepLR", "step_size": 1, "gamma": 0.5, "verbose": True}
    (scheduler,) = build_param_scheduler(step, OptimWrapper(sgd))
    scheduler.step()
    said = capsys.readouterr().out
    assert "lr of epoch 0: 1.0000e+00" in said
    assert "lr of epoch 1: 5.0000e-01" in said


def test_an_epoch_length_that_nothing_uses_is_told():
    entry = {"type": "LinearLR", "epoch_length": 5, "end": 3}
    found = schedule_findings(entry, max_iters=30, max_epochs=3, epoch_length=10)
    assert found == ["LinearLR: epoch_length does nothing without convert_to_iter_based=True"]

"""Schedules as f(where), and the multiplier that applies them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from loopwright.optim.where import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    ExponentialParamScheduler,
    LinearParamScheduler,
    LRMultiplier,
    MultiStepParamScheduler,
    PolynomialDecayParamScheduler,
    StepParamScheduler,
    StepWithFixedGammaParamScheduler,
    WarmupParamScheduler,
)


def at(scheduler, *wheres: float) -> list[float]:
    return [scheduler(where) for where in wheres]


def test_each_kind_by_hand():
    assert at(ConstantParamScheduler(0.3), 0, 1) == [0.3, 0.3]
    assert at(CosineParamScheduler(1.0, 0.2), 0, 0.5, 1) == pytest.approx([1.0, 0.6, 0.2])
    assert at(ExponentialParamScheduler(2.0, 0.25), 0, 0.5, 1) == [2.0, 1.0, 0.5]
    assert at(LinearParamScheduler(1.0, 0.0), 0, 0.25, 1) == [1.0, 0.75, 0.0]
    assert at(PolynomialDecayParamScheduler(1.0, 2), 0, 0.5, 1) == [1.0, 0.25, 0.0]
    assert at(StepParamScheduler(90, [3, 2, 1]), 0, 0.34, 0.99) == [3, 2, 1]


def test_steps_with_a_fixed_gamma_can_finish():
    scheduler = StepWithFixedGammaParamScheduler(1.0, num_decays=2, gamma=0.1, num_updates=30)
    assert at(scheduler, 0.0, 0.4, 0.99, 1.0, 1.5) == pytest.approx([1.0, 0.1, 0.01, 0.01, 0.01])


def test_a_milestone_counts_from_the_update_it_names():
    scheduler = MultiStepParamScheduler([1.0, 0.1], milestones=[3], num_updates=10)
    assert at(scheduler, 2 / 10, 3 / 10, 1.0, 2.0) == [1.0, 0.1, 0.1, 0.1]


def test_values_may_take_turns_of_one_length():
    assert at(MultiStepParamScheduler([1, 2, 3], num_updates=9), 0, 0.34, 0.67) == [1, 2, 3]


def test_the_last_milestone_may_be_the_end():
    scheduler = MultiStepParamScheduler([1, 2], milestones=[5, 10])
    assert at(scheduler, 0.49, 0.5, 1.0) == [1, 2, 2]


def test_schedules_follow_one_another():
    scheduler = CompositeParamScheduler(
        [ConstantParamScheduler(0.5), LinearParamScheduler(1.0, 0.0)],
        [0.5, 0.5],
        ["rescaled", "rescaled"],
    )
    assert at(scheduler, 0.2, 0.5, 0.75, 1.0) == [0.5, 1.0, 0.5, 0.0]


def test_a_warm_up_ends_where_the_schedule_is():
    scheduler = WarmupParamScheduler(LinearParamScheduler(1.0, 0.0), 0.1, 0.2)
    assert at(scheduler, 0.0, 0.2, 0.6) == pytest.approx([0.1, 0.8, 0.4])


def test_a_schedule_may_begin_after_its_warm_up():
    scheduler = WarmupParamScheduler(
        LinearParamScheduler(1.0, 0.0), 0.0, 0.5, rescale_interval=True
    )
    assert at(scheduler, 0.25, 0.5, 0.75) == pytest.approx([0.5, 1.0, 0.5])


def test_a_constant_warm_up_jumps_at_its_end():
    scheduler = WarmupParamScheduler(ConstantParamScheduler(1.0), 0.1, 0.5, "constant")
    assert at(scheduler, 0.4, 0.5) == [0.1, 1.0]


def test_a_warm_up_as_long_as_the_run_is_said():
    with pytest.warns(UserWarning, match="never reaches the schedule"):
        WarmupParamScheduler(ConstantParamScheduler(1.0), 0.1, 1.0)


@given(where=st.floats(-1, 2))
def test_past_the_ends_a_schedule_stays(where: float):
    scheduler = CosineParamScheduler(1.0, 0.5)
    assert 0.5 <= scheduler(where) <= 1.0
    assert scheduler(where) == scheduler(min(max(where, 0.0), 1.0))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (MultiStepParamScheduler, ([1, 2],)),
        (MultiStepParamScheduler, ([1, 2], 10, [3, 4])),
        (MultiStepParamScheduler, ([1, 2, 3], 10, [4, 3])),
        (StepParamScheduler, (0, [1])),
        (CompositeParamScheduler, ([], [], [])),
        (CompositeParamScheduler, ([ConstantParamScheduler(1)], [0.5], ["fixed"])),
        (CompositeParamScheduler, ([ConstantParamScheduler(1)], [1.0], ["loose"])),
        (WarmupParamScheduler, (ConstantParamScheduler(1), 0.1, 0.5, "burnin")),
    ],
)
def test_arguments_that_make_no_schedule_are_refused(kind, arguments):
    with pytest.raises(ValueError):
        kind(*arguments)


def sgd(lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def test_the_multiplier_is_applied_to_the_base_of_each_group():
    optimizer = sgd(2.0)
    scheduler = LRMultiplier(optimizer, LinearParamScheduler(1.0, 0.0), max_iter=4)
    seen = scheduler.get_last_lr()
    for _ in range(5):
        scheduler.step()
        seen += scheduler.get_last_lr()
    assert seen == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]
    assert scheduler.get_lr() == [0.0]


def test_a_resumed_multiplier_equals_one_run_through():
    straight, first, second = sgd(), sgd(), sgd()
    shape = CosineParamScheduler(1.0, 0.0)
    whole = LRMultiplier(straight, shape, 10)
    one = LRMultiplier(first, shape, 10)
    for _ in range(4):
        whole.step()
        one.step()
    two = LRMultiplier(second, shape, 10)
    two.load_state_dict(one.state_dict())
    for _ in range(6):
        assert two.get_last_lr() == whole.get_last_lr()
        whole.step()
        two.step()


def test_a_longer_run_stretches_what_is_left_and_does_not_jump():
    optimizer = sgd()
    old = LRMultiplier(optimizer, LinearParamScheduler(1.0, 0.0), max_iter=20)
    for _ in range(10):
        old.step()
    new = LRMultiplier(sgd(), LinearParamScheduler(1.0, 0.0), max_iter=40)
    with pytest.warns(UserWarning, match=r"20 iterations long and is 40 now.*the 30 that are left"):
        new.load_state_dict(old.state_dict())
    assert new.get_last_lr() == [0.5]
    for _ in range(15):
        new.step()
    assert new.get_last_lr() == pytest.approx([0.25])
    again = LRMultiplier(sgd(), LinearParamScheduler(1.0, 0.0), max_iter=40)
    again.load_state_dict(new.state_dict())
    assert again.get_last_lr() == new.get_last_lr()


def test_a_finished_run_that_goes_on_stays_at_its_end():
    old = LRMultiplier(sgd(), StepWithFixedGammaParamScheduler(1.0, 1, 0.01, 20), max_iter=20)
    for _ in range(20):
        old.step()
    new = LRMultiplier(sgd(), StepWithFixedGammaParamScheduler(1.0, 1, 0.01, 40), max_iter=40)
    with pytest.warns(UserWarning, match="stretched"):
        new.load_state_dict(old.state_dict())
    new.step()
    assert new.get_last_lr() == [0.01]


def test_a_multiplier_needs_a_schedule_and_a_length():
    with pytest.raises(TypeError, match="ParamScheduler"):
        LRMultiplier(sgd(), 0.5, 10)
    with pytest.raises(ValueError, match="max_iter"):
        LRMultiplier(sgd(), ConstantParamScheduler(1.0), 0)

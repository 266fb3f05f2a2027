"""Schedules by hand: each kind's values, and the law that resuming changes nothing."""

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.optim import kinds
from loopwright.optim.schedules import (
    Constant,
    Cosine,
    CosineOfNonZero,
    CosineRestart,
    Exponential,
    Linear,
    LinearInterval,
    MultiStep,
    OneCycle,
    Poly,
    QuadraticWarmup,
    Schedule,
    Step,
    window,
)


def run(
    schedule: Schedule, steps: int, base: float = 1.0, value: float | None = None
) -> list[float]:
    value = base if value is None else value
    values = []
    for step in range(steps):
        value = schedule(value, step, base)
        values.append(value)
    return values


def test_a_schedule_of_no_kind_moves_nothing():
    assert run(Schedule(), 3) == [1.0, 1.0, 1.0]


def test_linear_arrives_in_the_last_step_of_its_range():
    assert run(kinds.linear(0, 5, start_factor=0.2), 6) == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    )


def test_linear_from_zero_comes_back_to_the_base():
    assert run(Linear(0.0, 1.0, 4), 5, base=2.0) == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_constant_factor_of_zero_is_restored():
    assert run(Constant(0.0, 2), 4, base=3.0) == [0.0, 0.0, 3.0, 3.0]


def test_a_constant_over_one_step_is_never_restored():
    assert run(kinds.constant(0, 1, factor=0.5), 3) == [0.5, 0.5, 0.5]


def test_a_milestone_of_zero_multiplies_at_construction():
    assert run(MultiStep((0, 2), 0.5), 3) == [0.5, 0.5, 0.25]


def test_a_milestone_written_twice_multiplies_twice():
    assert run(MultiStep((1, 1), 0.5), 2) == [1.0, 0.25]


def test_step_multiplies_every_step_size_steps():
    assert run(Step(2, 0.5), 5) == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_exponential_multiplies_at_every_step_but_the_first():
    assert run(Exponential(0.5), 3) == [1.0, 0.5, 0.25]


def test_a_cosine_rises_again_after_its_period():
    values = run(Cosine(period=2), 5)
    assert values == pytest.approx([1.0, 0.5, 0.0, 0.5, 1.0])


def test_a_cosine_shrinks_to_its_floor_and_not_to_zero():
    assert run(Cosine(eta_min=0.2, period=2), 3) == pytest.approx([1.0, 0.6, 0.2])


def test_a_floor_ratio_is_a_share_of_each_base():
    schedule = Cosine(eta_min_ratio=0.1, period=2)
    assert run(schedule, 3, base=10.0)[-1] == pytest.approx(1.0)
    assert run(schedule, 3, base=1.0)[-1] == pytest.approx(0.1)


def test_what_was_zero_before_stays_zero_under_a_rising_cosine():
    schedule = CosineOfNonZero(eta_min=0.2, period=4)
    assert run(schedule, 4, base=0.0) == [0.0] * 4
    assert run(schedule, 3, base=0.1)[-1] == pytest.approx(0.15)


def test_poly_with_power_one_is_a_line_to_its_floor():
    assert run(kinds.poly(0, 5, eta_min=0.2), 6) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_a_quadratic_warm_up_is_the_square_of_the_share():
    assert run(QuadraticWarmup(4), 5) == pytest.approx([1 / 16, 4 / 16, 9 / 16, 1.0, 1.0])


def test_a_cosine_restarts_from_its_weight_and_stays_after_the_last():
    values = run(CosineRestart(periods=(2, 2), weights=(1.0, 0.5)), 6)
    assert values == pytest.approx([1.0, 0.5, 0.5, 0.25, 0.25, 0.25])


def test_an_interval_moves_only_every_so_many_steps():
    assert run(LinearInterval(1.0, 0.0, total=4, interval=2), 5) == [1.0, 1.0, 0.5, 0.5, 0.0]


def test_one_cycle_rises_to_the_peak_and_falls_below_the_start():
    cycle = OneCycle(total=10, pct_start=0.3, div_factor=10, final_div_factor=100)
    values = run(cycle, 12, base=0.1)
    assert max(values) == pytest.approx(1.0)
    assert values.index(max(values)) == 2
    assert values[9] == pytest.approx(0.001)
    assert values[11] == values[9]


def test_one_cycle_in_three_phases_comes_back_before_it_vanishes():
    cycle = OneCycle(total=10, pct_start=0.3, anneal="linear", div_factor=10, three_phase=True)
    values = run(cycle, 10, base=0.1)
    assert values[2] == pytest.approx(1.0)
    assert values[4] == pytest.approx(0.1)


def test_one_cycle_whose_rise_is_a_single_step_starts_at_its_peak():
    cycle = OneCycle(total=10, pct_start=0.1, anneal="linear", div_factor=10)
    assert run(cycle, 2, base=0.1) == pytest.approx([1.0, 1.0 - 1 / 9], rel=1e-4)


def test_one_cycle_may_span_a_range_that_begins_between_two_steps():
    assert kinds.one_cycle(0.5, 10, eta_max=1.0).total == 9.5


def test_one_cycle_in_cosine_is_halfway_in_the_middle_of_a_phase():
    cycle = OneCycle(total=21, pct_start=0.5238095238095238, div_factor=2)
    assert cycle(0.0, 5, base=1.0) == pytest.approx(1 + (1 - cos(pi / 2)) / 2)


def test_a_window_includes_its_begin_and_not_its_end():
    assert [window(2, 4, count) for count in range(6)] == [False, False, True, True, False, False]


@given(
    kind=st.sampled_from(
        [
            Linear(0.1, 1.0, 9),
            Cosine(0.01, None, 7),
            Poly(0.001, None, 20, 0.9),
            MultiStep((3, 3, 8), 0.3),
            Constant(0.2, 6),
            QuadraticWarmup(9),
            CosineRestart(0.0, None, (3, 5), (1.0, 0.5)),
            OneCycle(total=12),
        ]
    ),
    base=st.floats(1e-3, 10),
    at=st.integers(0, 19),
)
def test_a_schedule_resumed_at_t_equals_one_run_to_t(kind: Schedule, base: float, at: int):
    whole = run(kind, 20, base)
    value = whole[at - 1] if at else base
    for step in range(at, 20):
        value = kind(value, step, base)
        assert value == whole[step]


@given(value=st.floats(1e-6, 10), base=st.floats(1e-6, 10), step=st.integers(0, 30))
def test_an_affine_schedule_is_what_its_move_says(value: float, base: float, step: int):
    for schedule in (Linear(0.3, 1.0, 9), Cosine(0.01, None, 9), Poly(0.0, None, 9, 2.0)):
        move, floor = schedule.move(step), schedule.floor(base)
        if move is None:
            assert schedule(value, step, base) == value
            continue
        expected = floor + move.scale * (value - floor) + move.lift * (base - floor)
        assert schedule(value, step, base) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (kinds.linear, {"start_factor": 1.5}, "start_factor must lie in"),
        (kinds.constant, {"factor": -1.0}, "factor must not be negative"),
        (kinds.step, {"step_size": 0}, "step_size must be positive"),
        (kinds.cosine, {"eta_min": 0.1, "eta_min_ratio": 0.1}, "not both"),
        (kinds.cosine_restart, {"periods": [2, 2]}, "of one length"),
        (kinds.one_cycle, {"eta_max": 1.0, "anneal_strategy": "sin"}, "'cos' or 'linear'"),
        (kinds.one_cycle, {"eta_max": 1.0, "pct_start": 2.0}, "pct_start"),
        (kinds.one_cycle, {"eta_max": 1.0, "total_steps": 1.5}, "whole number"),
        (kinds.one_cycle, {"eta_max": 1.0, "div_factor": 0}, "div_factor must be more than 0"),
    ],
)
def test_options_that_make_no_schedule_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(0, 10, **options)


def test_a_one_cycle_without_an_end_is_refused():
    with pytest.raises(ValueError, match="total_steps"):
        kinds.one_cycle(0, kinds.INF, eta_max=1.0)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(TypeError, match=r"start_facto.*did you mean 'start_factor'"):
        kinds.bound(kinds.linear, (), {"start_facto": 0.1}, "LinearLR")


def test_a_missing_option_is_named():
    with pytest.raises(TypeError, match="MultiStepLR needs `milestones`"):
        kinds.bound(kinds.multi_step, (), {}, "MultiStepLR")


def test_conversion_to_iterations_needs_the_length_of_an_epoch():
    with pytest.raises(ValueError, match="iterations in an epoch"):
        kinds.in_iterations({"end": 3}, 0)


def test_conversion_leaves_an_endless_end_alone():
    assert kinds.in_iterations({"end": kinds.INF, "T_max": 2}, 10) == {
        "end": kinds.INF,
        "T_max": 20,
    }

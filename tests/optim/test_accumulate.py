"""Gradient accumulation: what each backward is worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.optim.accumulate import plan, updates


def test_four_over_ten_batches_loses_none():
    turns = [plan(i, 4, 10) for i in range(10)]
    assert [i for i, turn in enumerate(turns) if turn.update] == [3, 7, 9]
    assert [turn.divisor for turn in turns] == [4] * 8 + [2] * 2


def test_without_a_known_end_every_window_is_full():
    turns = [plan(i, 3) for i in range(5)]
    assert [turn.divisor for turn in turns] == [3] * 5
    assert [turn.update for turn in turns] == [False, False, True, False, False]


@given(every=st.integers(1, 9), total=st.integers(1, 60))
def test_the_weights_of_each_update_sum_to_one(every: int, total: int):
    share, made = 0.0, 0
    for i in range(total):
        turn = plan(i, every, total)
        share += 1 / turn.divisor
        if turn.update:
            assert share == pytest.approx(1.0)
            share, made = 0.0, made + 1
    assert share == 0.0
    assert made == updates(every, total)

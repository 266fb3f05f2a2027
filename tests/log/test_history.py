"""HistoryBuffer: windows by count and by iteration, exact totals, bounded memory, small state."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.log import HistoryBuffer

finite = st.floats(-1e6, 1e6)


def test_a_window_counts_values_and_divides_by_their_counts():
    buffer = HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 2])
    assert buffer.mean() == 2.25
    assert buffer.mean(2) == 8 / 3
    assert (buffer.max(), buffer.min(1), buffer.current()) == (6.0, 6.0, 6.0)
    values, counts = buffer.data
    assert values.tolist() == [1.0, 2.0, 6.0]
    assert counts.tolist() == [1.0, 1.0, 2.0]


def test_an_iteration_window_counts_iterations_and_not_values():
    buffer = HistoryBuffer()
    for iteration in range(0, 50, 5):
        buffer.update(iteration, cur_iter=iteration)
    assert buffer.count_since(10) == 2
    assert buffer.median(buffer.count_since(10)) == 42.5


def test_an_empty_history_says_so():
    with pytest.raises(ValueError, match="no value was put"):
        HistoryBuffer().current()
    assert HistoryBuffer().count_since(5) == 0


def test_only_the_last_values_are_kept_but_totals_cover_all():
    buffer = HistoryBuffer(max_length=10)
    for value in range(1000):
        buffer.update(value)
    assert len(buffer) == 10
    assert len(buffer._values) < 20
    assert buffer.mean() == 499.5
    assert (buffer.max(), buffer.min(), buffer.number) == (999.0, 0.0, 1000)
    assert buffer.mean(10) == buffer.mean(500) == 994.5


def test_an_epoch_mean_starts_again_and_the_whole_mean_does_not():
    buffer = HistoryBuffer([1.0, 3.0])
    buffer.begin_epoch()
    buffer.update(10.0)
    assert buffer.epoch.mean() == 10.0
    assert buffer.ever.mean() == 14 / 3


def test_nan_reaches_means_and_medians_and_no_extreme():
    buffer = HistoryBuffer([1.0, math.nan, 3.0])
    assert math.isnan(buffer.mean())
    assert math.isnan(buffer.median(3))
    assert (buffer.max(), buffer.min()) == (3.0, 1.0)
    assert buffer.median(1) == 3.0


def test_an_unknown_statistic_lists_the_known_ones():
    with pytest.raises(KeyError, match="mean"):
        HistoryBuffer([1.0]).statistics("average")


def test_counts_of_another_length_are_refused():
    with pytest.raises(ValueError, match="2 values came with 1 counts"):
        HistoryBuffer([1.0, 2.0], [1])


@given(st.lists(finite, min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 60))
def test_state_is_small_plain_and_continues_exactly(values, window, cut):
    whole, first = HistoryBuffer(max_length=64), HistoryBuffer(max_length=64)
    for value in values:
        whole.update(value)
    for value in values[:cut]:
        first.update(value)
    state = json.loads(json.dumps(first.state_dict(window)))
    assert len(state["values"]) <= window
    second = HistoryBuffer(max_length=64)
    second.load_state_dict(state)
    for value in values[cut:]:
        second.update(value)
    assert second.mean() == whole.mean()
    assert second.number == whole.number
    assert second.tail(window) == whole.tail(window)


@given(st.lists(finite, max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_totals_do_not_depend_on_how_values_are_batched(values, cuts):
    one, many = HistoryBuffer(), HistoryBuffer()
    for value in values:
        one.update(value)
    edges = [0, *sorted(min(c, len(values)) for c in cuts), len(values)]
    for start, stop in pairwise(edges):
        many.extend(values[start:stop], list(range(start, stop)))
    assert many.ever.state() == one.ever.state()
    assert many.values() == one.values()

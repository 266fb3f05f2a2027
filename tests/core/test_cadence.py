"""When things are due."""

from hypothesis import given
from hypothesis import strategies as st

from loopwright.core import every, interval_at, next_val, val_due

counts = st.integers(min_value=1, max_value=60)


def test_a_changed_interval_decides_one_unit_before_its_milestone_as_in_mmengine():
    dynamic = [(6, 2)]
    due = [k for k in range(1, 13) if val_due(k, interval=interval_at(k, 5, dynamic), last=12)]
    assert due == [6, 8, 10, 12]


def test_validation_waits_for_its_begin_but_not_beyond_the_end():
    assert [k for k in range(1, 8) if val_due(k, interval=1, begin=5, last=7)] == [5, 6, 7]
    assert [k for k in range(1, 8) if val_due(k, interval=100, last=7)] == [7]


@given(counts, counts)
def test_every_counts_multiples(done, n):
    assert every(done, n) == (done % n == 0)


@given(counts)
def test_a_negative_interval_is_never(done):
    assert not every(done, -1)


@given(st.integers(0, 59), counts, counts, counts)
def test_the_next_validation_is_the_first_one_due(done, last, interval, begin):
    if done >= last:
        return
    due = [
        k
        for k in range(done + 1, last + 1)
        if val_due(k, interval=interval, begin=begin, last=last)
    ]
    assert next_val(done, last, interval, begin=begin) == (due[0] if due else last)

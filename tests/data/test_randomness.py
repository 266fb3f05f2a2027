"""Seeds from (seed, epoch, index) and (seed, step, rank)."""

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.data import H, mix, seed_sample, seed_step


def draws():
    return random.random(), random.gauss(0, 1), np.random.rand(), torch.rand(3).tolist()


def test_the_same_sample_of_the_same_epoch_draws_the_same():
    seed_sample(1, 2, 3)
    first = draws()
    torch.rand(7)
    random.gauss(0, 1)
    seed_sample(1, 2, 3)
    assert draws() == first


def test_another_seed_epoch_index_step_or_rank_draws_something_else():
    seen = []
    for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]:
        for put in (seed_sample, seed_step):
            put(*place)
            seen.append(draws())
    assert len({str(drawn) for drawn in seen}) == 8


def test_the_global_functions_of_each_library_follow():
    seed_step(5, 6)
    expected = (random.random(), np.random.randint(1000), torch.randint(1000, ()).item())
    seed_step(5, 6)
    assert (random.random(), np.random.randint(1000), torch.randint(1000, ()).item()) == expected


@given(st.lists(st.integers(0, 2**63), min_size=1, max_size=3), st.integers(0, 2**40))
def test_a_mixed_seed_is_64_bits_and_changes_with_each_number(numbers, seed):
    value = mix(seed, *numbers)
    assert 0 <= value < 2**64
    assert value != mix(seed + 1, *numbers)
    assert value != mix(seed, *numbers[:-1], numbers[-1] + 1)


def test_half_of_the_bits_change_when_one_does():
    changed = [(mix(0, n) ^ mix(0, n + 1)).bit_count() for n in range(1000)]
    assert 31 < sum(changed) / len(changed) < 33


def test_tags_keep_purposes_apart_and_values_are_fixed_for_all_time():
    assert H(0, "replace", 1) != H(0, "order", 1)
    assert mix(0, 1) == 7960286522194355700
    assert mix(7, 1, 2, 3) == mix(mix(mix(7, 1), 2), 3)

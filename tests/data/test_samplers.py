"""Samplers: equal to MMEngine's, and startable anywhere."""

import json
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.data import DefaultSampler, InfiniteSampler, order
from loopwright.data.order import Passes

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "samplers.json").read_text())


def test_the_default_sampler_gives_the_indices_mmengine_gives():
    for row in GOLDEN["default"]:
        place = {"rank": row["rank"], "world": row["world"]}
        sampler = DefaultSampler(
            range(row["n"]), row["shuffle"], row["seed"], row["round_up"], **place
        )
        sampler.set_epoch(row["epoch"])
        assert list(sampler) == row["indices"], row
        assert len(sampler) == row["length"], row


def test_the_infinite_sampler_gives_the_stream_mmengine_gives():
    for row in GOLDEN["infinite"]:
        place = {"rank": row["rank"], "world": row["world"]}
        sampler = InfiniteSampler(range(row["n"]), row["shuffle"], row["seed"], **place)
        assert list(islice(sampler, 45)) == row["indices"], row
        assert len(sampler) == row["length"], row


@given(
    length=st.integers(1, 40), world=st.integers(1, 5), epoch=st.integers(0, 9), seed=st.integers(0)
)
def test_the_ranks_together_see_every_sample(length, world, epoch, seed):
    seed %= 2**31
    shares = [order(seed, epoch, length, rank, world).tolist() for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert set().union(*shares) == set(range(length))
    exact = [order(seed, epoch, length, r, world, round_up=False).tolist() for r in range(world)]
    assert sorted(i for share in exact for i in share) == list(range(length))


@given(length=st.integers(1, 30), world=st.integers(1, 3), start=st.integers(0, 100))
def test_an_endless_stream_starts_anywhere_as_if_read_from_the_front(length, world, start):
    whole = list(islice(InfiniteSampler(range(length), seed=1, rank=0, world=world), start + 10))
    sampler = InfiniteSampler(range(length), seed=1, rank=0, world=world)
    resumed = (i for _, piece in sampler.pieces(start) for i in piece.tolist())
    assert list(islice(resumed, 10)) == whole[start:]


def test_passes_go_back_and_forth_and_are_restored_from_a_mark(monkeypatch):
    monkeypatch.setattr(Passes, "MARK_EVERY", 50)
    passes = Passes(3, 10)
    all_of_them = [passes.permutation(k).tolist() for k in range(40)]
    assert [passes.permutation(k).tolist() for k in (39, 0, 17)] == [
        all_of_them[k] for k in (39, 0, 17)
    ]
    passes.permutation(39)
    number, state = passes.mark(38)
    assert number > 20
    other = Passes(3, 10)
    other.restore((number, state))
    assert other.permutation(38).tolist() == all_of_them[38]
    assert other.permutation(2).tolist() == all_of_them[2]


def test_a_saved_stream_position_is_taken_up_by_a_new_sampler():
    sampler = InfiniteSampler(range(7), seed=5, rank=0, world=1)
    seen = list(islice(sampler, 100))
    state = sampler.state_dict(60)
    fresh = InfiniteSampler(range(7), seed=5, rank=0, world=1)
    fresh.load_state_dict(state)
    resumed = (i for _, piece in fresh.pieces(60) for i in piece.tolist())
    assert list(islice(resumed, 40)) == seen[60:]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_sampler_s_epoch_changes_a_shuffled_order_only(shuffle):
    sampler = DefaultSampler(range(20), shuffle=shuffle, seed=0, rank=0, world=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert (list(sampler) != first) is shuffle


def test_a_sampler_of_one_process_needs_no_rank():
    for kind in (DefaultSampler, InfiniteSampler):
        sampler = kind(range(5), seed=1)
        assert (sampler.rank, sampler.world_size) == (0, 1)
        assert sorted(islice(sampler, 5)) == list(range(5))

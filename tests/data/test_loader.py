"""The loader's positions and its order, here and in workers."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import TensorDataset, WeightedRandomSampler

from loopwright.data import (
    DatasetChangedError,
    DefaultSampler,
    InfiniteSampler,
    Loader,
    WorkerSettings,
    default_collate,
    fingerprint,
    seed_step,
)


def shuffled(dataset, **arguments):
    sampler = DefaultSampler(dataset, seed=3, rank=0, world=1)
    return Loader(dataset, sampler=sampler, seed=5, **arguments)


def endless(dataset, **arguments):
    return Loader(dataset, sampler=InfiniteSampler(dataset, seed=3, rank=0, world=1), **arguments)


@given(epoch=st.integers(0, 3), batch=st.integers(0, 7), size=st.integers(1, 6))
@settings(max_examples=30)
def test_a_resumed_epoch_is_the_rest_of_the_uninterrupted_one(drawing, sampled, epoch, batch, size):
    whole = shuffled(drawing(), batch_size=size)
    whole.set_epoch(epoch)
    expected = sampled(whole)[batch:]
    resumed = shuffled(drawing(), batch_size=size)
    resumed.set_position(epoch, batch)
    assert sampled(resumed) == expected


def test_workers_their_number_and_their_prefetch_change_nothing(drawing, sampled):
    def digest(count, persistent, prefetch):
        settings = WorkerSettings(count=count, persistent=persistent, prefetch=prefetch)
        loader = shuffled(drawing(), batch_size=3, workers=settings)
        out = []
        for epoch in range(2):
            loader.set_epoch(epoch)
            out.append(sampled(loader))
        loader.close()
        return out

    plain = digest(0, False, 2)
    assert plain[0] != plain[1]
    for setup in [(1, False, 2), (2, True, 1), (2, False, 4), (4, True, 2)]:
        assert digest(*setup) == plain, setup


def test_a_step_draws_the_same_wherever_its_batch_was_loaded(drawing):
    def dropped(count):
        loader = shuffled(drawing(), batch_size=4, workers=WorkerSettings(count=count))
        out = []
        for step, _ in enumerate(loader):
            seed_step(0, step)
            out.append(torch.rand(2).tolist())
        return out

    assert dropped(0) == dropped(1)


def test_an_iteration_given_up_starts_again_at_the_front(drawing, sampled):
    loader = shuffled(drawing(), batch_size=4, workers=WorkerSettings(count=1, persistent=True))
    first = next(iter(loader))
    whole = sampled(loader)
    loader.close()
    assert len(whole) == 5
    assert torch.stack(first).tolist() == whole[0]


def test_a_position_is_used_once(drawing):
    loader = shuffled(drawing(), batch_size=4)
    loader.set_position(0, 3)
    assert (len(list(loader)), len(list(loader))) == (2, 5)


def test_setting_the_epoch_it_is_in_keeps_a_position_and_another_drops_it(drawing):
    loader = shuffled(drawing(), batch_size=4)
    loader.set_position(2, 3)
    loader.set_epoch(2)
    assert len(list(loader)) == 2
    loader.set_position(2, 3)
    loader.set_epoch(3)
    assert len(list(loader)) == 5


def test_the_saved_position_counts_the_batches_handed_out(drawing, sampled):
    loader = shuffled(drawing(), batch_size=3, workers=WorkerSettings(count=2))
    loader.set_epoch(1)
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    state = loader.state_dict()
    rest = sampled(batches)
    assert (state["epoch"], state["batch"]) == (1, 4)
    other = shuffled(drawing(), batch_size=3)
    other.load_state_dict(state)
    assert sampled(other) == rest


def test_endless_iteration_goes_on_over_epochs_and_resumes_within_one(drawing, sampled):
    def taken(loader, count):
        return sampled(batch for _, batch in zip(range(count), loader.endless()))

    whole = taken(shuffled(drawing(), batch_size=6), 10)
    assert whole[0] != whole[4]
    loader = shuffled(drawing(), batch_size=6)
    taken(loader, 6)
    other = shuffled(drawing(), batch_size=6)
    other.load_state_dict(loader.state_dict())
    assert taken(other, 4) == whole[6:]


def test_a_stream_draws_anew_each_time_it_comes_to_a_sample_again(drawing, sampled):
    stream = sampled(b for _, b in zip(range(10), endless(drawing(5), batch_size=4)))
    rows = [tuple(row) for batch in stream for row in batch]
    assert len(rows) == 40
    assert len(set(rows)) == 40
    assert sorted({row[0] for row in rows[:5]}) == [0, 1, 2, 3, 4]


def test_a_stream_resumes_by_batches_or_by_epochs_and_batches(drawing, sampled):
    def taken(loader, count):
        return sampled(batch for _, batch in zip(range(count), iter(loader)))

    whole = taken(endless(drawing(10), batch_size=4), 12)
    assert len(endless(drawing(10), batch_size=4)) == 3
    for position in [(0, 7), (2, 1)]:
        resumed = endless(drawing(10), batch_size=4)
        resumed.set_position(*position)
        assert taken(resumed, 5) == whole[7:], position
    live = endless(drawing(10), batch_size=4)
    taken(live, 7)
    resumed = endless(drawing(10), batch_size=4)
    resumed.load_state_dict(live.state_dict())
    assert taken(resumed, 5) == whole[7:]


def test_a_sampler_that_repeats_samples_draws_for_each_time_anew(drawing, sampled):
    sampler = WeightedRandomSampler([1.0, 0.0], 8, generator=torch.Generator().manual_seed(0))
    loader = Loader(drawing(2), sampler=sampler, batch_size=4)
    rows = [tuple(row) for batch in sampled(loader) for row in batch]
    assert {row[0] for row in rows} == {0.0}
    assert len(set(rows)) == 8


def test_batches_of_an_epoch_can_be_limited(drawing):
    loader = shuffled(drawing(), batch_size=4, num_batch_per_epoch=3)
    assert len(loader) == 3
    assert len(list(loader)) == 3
    loader.set_position(0, 2)
    assert len(list(loader)) == 1


def test_a_tensor_dataset_gives_what_torch_gives():
    data = TensorDataset(torch.arange(20.0).reshape(10, 2), torch.arange(10))
    ours = list(Loader(data, batch_size=4, collate_fn=default_collate))
    torchs = list(torch.utils.data.DataLoader(data, batch_size=4))
    for one, other in zip(ours, torchs, strict=True):
        assert type(one) is type(other)
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_batch_size_keeps_the_number_of_samples_seen(drawing):
    loader = shuffled(drawing(), batch_size=4)
    loader.set_position(1, 3)
    state = loader.state_dict()
    other = shuffled(drawing(), batch_size=2)
    other.load_state_dict(state)
    assert other.state_dict()["batch"] == 6
    uneven = shuffled(drawing(), batch_size=5)
    with pytest.warns(UserWarning, match="2 of them are seen again"):
        uneven.load_state_dict(state)
    assert uneven.state_dict()["batch"] == 2


def test_another_dataset_is_refused_or_starts_its_epoch_anew(drawing):
    loader = shuffled(drawing(20), batch_size=4)
    loader.set_position(1, 3)
    state = loader.state_dict()
    other = shuffled(drawing(24), batch_size=4)
    with pytest.raises(DatasetChangedError, match="Drawing:20"):
        other.load_state_dict(state)
    with pytest.warns(UserWarning, match="starts anew"):
        other.load_state_dict(state, allow_change=True)
    assert (other.epoch, other.state_dict()["batch"]) == (1, 0)


def test_a_fingerprint_sees_length_content_and_order():
    data = [torch.tensor([1.0]), torch.tensor([2.0])]
    assert fingerprint(data) == fingerprint([tensor.clone() for tensor in data])
    others = [data[:1], data[::-1], [data[0], torch.tensor([2.5])]]
    assert len({fingerprint(data), *map(fingerprint, others)}) == 4


def test_a_dataset_that_says_it_is_deterministic_is_not_reseeded(drawing):
    data = drawing(4)
    data.deterministic = True
    torch.manual_seed(0)
    before = torch.rand(4).tolist()
    torch.manual_seed(0)
    loader = Loader(data, batch_size=4)
    assert torch.stack(next(iter(loader)))[:, 3].tolist() == before


def test_nothing_is_warned_of_in_an_ordinary_epoch(drawing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(shuffled(drawing(), batch_size=4, workers=WorkerSettings(count=1)))) == 5


def test_the_global_batch_decides_the_sample_sequence_not_the_number_of_ranks(drawing, sampled):
    def steps(world):
        batches = []
        for rank in range(world):
            sampler = DefaultSampler(range(24), seed=3, rank=rank, world=world)
            loader = Loader(drawing(24), sampler=sampler, batch_size=8 // world, seed=5)
            batches.append(sampled(loader))
        return [sorted(row for batch in step for row in batch) for step in zip(*batches)]

    assert steps(1) == steps(2) == steps(4)

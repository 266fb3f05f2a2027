"""Datasets that are only iterated: resumed through their state or by skipping."""

import random

import pytest
from torch.utils.data import IterableDataset, get_worker_info

from loopwright.data import StreamLoader, WorkerSettings


class Counting(IterableDataset):
    """0, 1, 2, … shared over the workers, each with a draw."""

    def __init__(self, length=20):
        self.length = length
        self.made = 0

    def __iter__(self):
        info = get_worker_info()
        for number in range(info.id if info else 0, self.length, info.num_workers if info else 1):
            self.made += 1
            yield number, random.random()


class Stateful(Counting):
    """The same, able to start at any place."""

    def __init__(self, length=20):
        super().__init__(length)
        self.place = 0

    def __iter__(self):
        while self.place < self.length:
            self.place += 1
            self.made += 1
            yield self.place - 1, random.random()
        self.place = 0

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def loader_of(dataset, count=0, **options):
    workers = WorkerSettings(count=count, **options)
    return StreamLoader(dataset, batch_size=3, seed=1, workers=workers)


@pytest.mark.parametrize("dataset", [Counting, Stateful])
@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_resumed_stream_goes_on_where_it_was(dataset, count, at):
    if dataset is Stateful and count:
        at = min(at, 4)
    loader = loader_of(dataset(), count)
    batches = iter(loader)
    for _ in range(at):
        next(batches)
    state = loader.state_dict()
    rest = list(batches)
    resumed = loader_of(dataset(), count)
    resumed.load_state_dict(state)
    assert list(resumed) == rest
    assert rest


def test_a_dataset_with_a_state_makes_no_sample_twice():
    loader = loader_of(Stateful())
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    data = Stateful()
    resumed = loader_of(data)
    resumed.load_state_dict(loader.state_dict())
    next(iter(resumed))
    assert data.made == 3


def test_epochs_draw_anew_and_workers_share_the_stream():
    loader = loader_of(Counting(), 2, persistent=True)
    first = list(loader)
    loader.set_epoch(1)
    second = list(loader)
    loader.close()
    numbers = [n for batch in first for n in batch[0]]
    assert sorted(numbers) == list(range(20))
    assert [batch[0] for batch in second] == [batch[0] for batch in first]
    assert [batch[1] for batch in second] != [batch[1] for batch in first]


def test_a_run_with_another_number_of_workers_skips_and_says_so():
    loader = loader_of(Counting())
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    other = loader_of(Counting(), 2)
    with pytest.warns(UserWarning, match="saved with 1 streams, there are 2 now"):
        other.load_state_dict(state)
    assert len(list(other)) == 7


def test_a_state_of_a_finished_epoch_is_not_taken_into_the_next():
    loader = loader_of(Stateful())
    list(loader)
    expected = loader_of(Stateful())
    expected.set_epoch(1)
    resumed = loader_of(Stateful())
    resumed.load_state_dict(loader.state_dict())
    resumed.set_position(1, 0)
    assert list(resumed) == list(expected)


def test_a_saved_state_survives_being_told_its_own_position():
    loader = loader_of(Stateful())
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    data = Stateful()
    resumed = loader_of(data)
    resumed.load_state_dict(loader.state_dict())
    resumed.set_epoch(0)
    resumed.set_position(0, 4)
    assert next(iter(resumed)) == next(batches)
    assert data.made == 3

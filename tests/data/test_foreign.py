"""Loaders made by others."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from loopwright.data import adopt


def numbers(batches):
    return [batch[0].flatten().tolist() for batch in batches]


DATA = TensorDataset(torch.arange(10))


def test_a_torch_loader_with_a_generator_keeps_its_order_from_epoch_to_epoch():
    plain = DataLoader(DATA, 3, shuffle=True, generator=torch.Generator().manual_seed(4))
    expected = [numbers(plain), numbers(plain)]
    adopted = adopt(DataLoader(DATA, 3, shuffle=True, generator=torch.Generator().manual_seed(4)))
    got = []
    for epoch in range(2):
        adopted.set_epoch(epoch)
        got.append(numbers(adopted))
    assert got == expected


def test_a_generator_s_later_epochs_are_reached_without_a_state_and_told_again():
    def made():
        generator = torch.Generator().manual_seed(4)
        return adopt(DataLoader(DATA, 3, shuffle=True, generator=generator))

    def order(loader, epoch):
        loader.set_epoch(epoch)
        return numbers(loader)

    loader = made()
    expected = [order(loader, epoch) for epoch in range(4)]
    assert order(made(), 3) == expected[3]
    assert [order(loader, epoch) for epoch in (3, 1, 2)] == [expected[e] for e in (3, 1, 2)]
    after_two = made()
    order(after_two, 1)
    state = after_two.state_dict()
    resumed = made()
    resumed.load_state_dict(state)
    resumed.set_position(2, 0)
    assert numbers(resumed) == expected[2]


@pytest.mark.parametrize("own_generator", [True, False])
def test_an_adopted_loader_resumes_in_the_middle_of_a_later_epoch(own_generator):
    def made():
        generator = torch.Generator().manual_seed(4) if own_generator else None
        return adopt(DataLoader(DATA, 2, shuffle=True, generator=generator), seed=3)

    loader = made()
    numbers(loader)
    loader.set_epoch(1)
    batches = iter(loader)
    for _ in range(2):
        next(batches)
    state = loader.state_dict()
    rest = numbers(batches)
    resumed = made()
    resumed.load_state_dict(state)
    torch.rand(3)
    assert numbers(resumed) == rest


def test_its_epochs_differ_and_its_seed_decides():
    def order(seed, epoch):
        loader = adopt(DataLoader(DATA, 10, shuffle=True), seed=seed)
        loader.set_epoch(epoch)
        return numbers(loader)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_an_adopted_loader_s_workers_make_no_difference(drawing, sampled):
    def rows(count):
        loader = adopt(DataLoader(drawing(9), 2, num_workers=count, collate_fn=list), seed=1)
        return sampled(loader)

    assert rows(0) == rows(2)


class Own:
    """An iterable with a state of its own, as torchdata's StatefulDataLoader is one."""

    def __init__(self, length=6):
        self.length, self.place, self.made = length, 0, 0

    def __len__(self):
        return self.length

    def __iter__(self):
        while self.place < self.length:
            self.place += 1
            self.made += 1
            yield self.place - 1
        self.place = 0

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def test_an_iterable_with_a_state_is_resumed_through_it():
    loader = adopt(Own())
    batches = iter(loader)
    seen = [next(batches) for _ in range(4)]
    other = Own()
    resumed = adopt(other)
    resumed.load_state_dict(loader.state_dict())
    assert (seen, list(resumed), other.made) == ([0, 1, 2, 3], [4, 5], 2)


def test_an_iterable_without_one_is_drawn_again_up_to_the_position():
    loader = adopt(list(range(6)))
    loader.set_position(0, 4)
    with pytest.warns(UserWarning, match="4 batches are loaded again"):
        assert list(loader) == [4, 5]


def test_a_custom_iterable_s_epoch_is_set_and_its_length_may_be_unknown():
    class Named:
        epoch = 0

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __iter__(self):
            return iter([self.epoch] * 2)

    loader = adopt(Named())
    assert loader.length is None
    assert [batch for batch, _ in zip(loader.endless(), range(5))] == [0, 0, 1, 1, 2]


def test_a_sampler_of_one_s_own_may_draw_from_the_global_generators(drawing, sampled):
    class Drawn(torch.utils.data.Sampler):
        def __iter__(self):
            return iter(torch.randint(0, 9, ()).item() for _ in range(9))

        def __len__(self):
            return 9

    def rows(count):
        loader = DataLoader(drawing(9), 2, sampler=Drawn(), num_workers=count, collate_fn=list)
        return sampled(adopt(loader, seed=1))

    assert rows(0) == rows(1)

"""Working ahead in a thread. Page-locking itself needs a GPU and is skipped without one."""

import threading
from collections import namedtuple
from itertools import count

import pytest
import torch

from loopwright.data.pin import ahead, pinned


def test_items_come_in_order_and_an_error_in_its_place():
    def items():
        yield from (1, 2)
        raise OSError("gone")

    got = ahead(items(), lambda number: -number)
    assert [next(got), next(got)] == [-1, -2]
    with pytest.raises(OSError, match="gone"):
        next(got)


def test_it_works_only_a_few_ahead_and_ends_when_given_up():
    drawn = []
    before = threading.active_count()
    items = ahead((drawn.append(n) or n for n in count()), str, depth=2)
    assert [next(items), next(items)] == ["0", "1"]
    items.close()
    assert len(drawn) <= 6
    assert threading.active_count() <= before


Pair = namedtuple("Pair", "a b")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs a GPU")
def test_every_tensor_of_a_batch_is_page_locked():
    batch = {"x": [torch.ones(2)], "y": Pair(torch.ones(1), "name"), "z": (torch.ones(3),)}
    moved = pinned(batch)
    assert moved["x"][0].is_pinned()
    assert moved["y"].a.is_pinned()
    assert moved["z"][0].is_pinned()
    assert moved["y"].b == "name"

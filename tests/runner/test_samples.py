"""A batch as samples: counted and cut alike, whatever form the batch has."""

import pytest
import torch

from loopwright.runner.samples import in_parts, samples_in

IMAGES = torch.arange(5.0).reshape(5, 1)


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [
        ([torch.arange(4.0), torch.arange(4)], [2, 2]),
        ({"inputs": torch.zeros(3, 2), "data_samples": [1, 2, 3]}, [1, 2]),
        ({"inputs": IMAGES, "data_samples": {"label": torch.arange(5)}}, [2, 3]),
        ({"inputs": {"rgb": IMAGES, "depth": IMAGES}, "data_samples": None}, [2, 3]),
        ([{"inputs": 1}, {"inputs": 2}, {"inputs": 3}], [1, 2]),
    ],
)
def test_a_batch_is_cut_into_parts_that_know_their_size(batch, sizes):
    cut = in_parts(batch, 2)
    assert [size for _, size in cut] == sizes
    assert [samples_in(part) for part, _ in cut] == sizes
    assert samples_in(batch) == sum(sizes)


def test_every_field_of_a_batch_is_cut_alike():
    cut = in_parts({"inputs": IMAGES, "data_samples": {"label": torch.arange(5)}}, 2)
    for (part, _), kept in zip(cut, ([0, 1], [2, 3, 4]), strict=True):
        assert part["inputs"].flatten().tolist() == kept
        assert part["data_samples"]["label"].tolist() == kept


def test_two_views_of_each_sample_are_no_samples_of_their_own():
    batch = {"inputs": [IMAGES, IMAGES], "data_samples": list("abcde")}
    assert samples_in(batch) == 5
    (first, size), (last, _) = in_parts(batch, 2)
    assert size == 2
    assert [len(view) for view in first["inputs"]] == [2, 2]
    assert last["data_samples"] == ["c", "d", "e"]

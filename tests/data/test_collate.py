"""Batches of samples. The expected structures were recorded from MMEngine 0.10.7."""

from collections import namedtuple

import pytest
import torch

from loopwright.data import default_collate, pseudo_collate

SAMPLES = [
    {"x": 1, "y": [1, 2], "z": "s", "t": (1, "q")},
    {"x": 2, "y": [3, 4], "z": "r", "t": (2, "w")},
]
Pair = namedtuple("Pair", "a b")


def test_fields_are_gathered_as_mmengine_does():
    assert pseudo_collate([[1, "a", (1, 2)], [2, "b", (3, 4)]]) == [
        (1, 2),
        ("a", "b"),
        [(1, 3), (2, 4)],
    ]
    assert pseudo_collate(SAMPLES) == {
        "x": [1, 2],
        "y": [(1, 3), (2, 4)],
        "z": ["s", "r"],
        "t": [(1, 2), ("q", "w")],
    }
    assert pseudo_collate([Pair(1, 2), Pair(3, 4)]) == Pair((1, 3), (2, 4))


def test_numbers_and_tensors_are_stacked_and_text_is_not():
    batch = default_collate(SAMPLES)
    assert batch["x"].tolist() == [1, 2]
    assert [column.tolist() for column in batch["y"]] == [[1, 3], [2, 4]]
    assert batch["z"] == ["s", "r"]
    assert batch["t"][1] == ("q", "w")
    assert default_collate([torch.zeros(2), torch.ones(2)]).shape == (2, 2)


@pytest.mark.parametrize("collate", [pseudo_collate, default_collate])
def test_annotation_objects_stay_whole_and_ragged_samples_are_refused(collate):
    class Element:
        metainfo = {}

        def set_metainfo(self, metainfo):
            pass

    elements = [Element(), Element()]
    assert list(collate([{"d": element} for element in elements])["d"]) == elements
    with pytest.raises(RuntimeError, match=r"different numbers of fields: \[1, 2\]"):
        collate([[1], [1, 2]])

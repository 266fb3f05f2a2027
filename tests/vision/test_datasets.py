"""The embedded datasets: disjoint splits, the same on every machine, exact numbers of bad boxes."""

import numpy as np
import pytest
import torch

from loopwright.data.collate import default_collate, pseudo_collate
from loopwright.data.randomness import seed_sample
from loopwright.vision import digits
from loopwright.vision.datasets import DigitScenes, DigitsClassification, DigitsUnlabelled
from loopwright.vision.plant import plant
from loopwright.vision.policy import AnnotationError

CLEAN = DigitScenes("val", "detection", count=40)


def test_no_digit_is_in_two_splits_and_all_are_used():
    parts = [set(digits.split_indices(split).tolist()) for split in digits.SPLITS]
    assert set.union(*parts) == set(range(1797))
    assert sum(map(len, parts)) == 1797


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(ValueError, match="train, val, test"):
        DigitsClassification("validation")


def test_a_batch_of_digits_has_images_and_labels():
    data = DigitsClassification("val", size=16)
    batch = default_collate([data[i] for i in range(3)])
    assert batch["inputs"].shape == (3, 1, 16, 16)
    assert batch["data_samples"].shape == (3,)
    assert batch["data_samples"].dtype == torch.int64


def test_digits_at_their_own_size_are_scikit_learns():
    from sklearn.datasets import load_digits

    data, raw = DigitsClassification("test"), load_digits()
    where = digits.split_indices("test")[7]
    assert np.array_equal(data[7]["inputs"][0].numpy() * 16, raw.images[where])
    assert data[7]["data_samples"] == raw.target[where]


def test_labels_per_class_keeps_as_many_of_each():
    data = DigitsClassification(labels_per_class=3)
    assert torch.bincount(data.labels).tolist() == [3] * 10


def test_a_scene_is_a_function_of_its_split_and_index():
    again = DigitScenes("val", "detection", count=3)
    assert torch.equal(again[2]["inputs"], CLEAN[2]["inputs"])
    other = DigitScenes("test", "detection", count=3)
    assert not torch.equal(other[2]["inputs"], CLEAN[2]["inputs"])


def test_a_box_is_the_tight_frame_of_its_digits_mask():
    for scene in CLEAN.scenes:
        for (left, top, right, bottom), label in zip(scene.boxes.astype(int), scene.labels):
            inside = scene.mask[top:bottom, left:right] == label + 1
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
        assert (scene.mask > 0).any()
        assert scene.image.min() >= 0
        assert scene.image.max() <= 1


def test_digits_are_as_large_as_the_share_asked_for():
    large = DigitScenes("val", "detection", count=20, size=32, most=1, side=(0.5, 0.75))
    heights = np.concatenate([boxes[:, 3] - boxes[:, 1] for boxes in large.boxes])
    assert heights.min() >= 12
    assert heights.max() <= 24
    whole = DigitScenes("val", count=5, size=16, most=1, side=(1, 1))
    assert all((scene.mask > 0).any(1).sum() >= 14 for scene in whole.scenes)


@pytest.mark.parametrize("side", [(0, 0.5), (0.6, 0.5), (0.5, 1.1), (0.01, 0.5)])
def test_a_digit_of_no_pixel_or_larger_than_the_scene_is_refused(side):
    with pytest.raises(ValueError, match="side must be"):
        DigitScenes("val", count=1, side=side)


def test_segmentation_gives_a_mask_that_stacks():
    data = DigitScenes("val", count=2, size=32)
    batch = default_collate([data[0], data[1]])
    assert batch["inputs"].shape == (2, 1, 32, 32)
    assert batch["data_samples"].shape == (2, 32, 32)
    assert len(data.metainfo["classes"]) == len(data.metainfo["palette"]) == 11


def test_detection_gives_lists_under_pseudo_collate():
    batch = pseudo_collate([CLEAN[0], CLEAN[1]])
    assert [len(boxes) for boxes in batch["data_samples"]["boxes"]] == [
        len(CLEAN.boxes[0]),
        len(CLEAN.boxes[1]),
    ]


def test_an_augmented_box_still_frames_its_digit():
    data = DigitScenes("val", "detection", count=10, augment=True)
    for index in range(10):
        seed_sample(0, 1, index)
        item = data[index]
        clean = CLEAN[index]
        for box, old in zip(
            item["data_samples"]["boxes"].int(), clean["data_samples"]["boxes"].int()
        ):
            new = item["inputs"][0, box[1] : box[3], box[0] : box[2]]
            assert torch.equal(new, clean["inputs"][0, old[1] : old[3], old[0] : old[2]])


def test_augmentation_is_a_function_of_seed_epoch_and_index():
    data = DigitsUnlabelled("val", views=2)
    seed_sample(0, 3, 5)
    first = data[5]["inputs"]
    seed_sample(0, 3, 5)
    assert torch.equal(first[0], data[5]["inputs"][0])
    assert not torch.equal(first[0], first[1])


def test_planted_boxes_are_exactly_as_many_as_asked_for():
    counts = {
        "reversed": 7,
        "partly_outside": 5,
        "outside": 4,
        "too_small": 3,
        "not_finite": 2,
        "duplicate": 6,
    }
    spoilt, labels = plant(CLEAN.boxes, CLEAN.labels, size=(64, 64), counts=counts)
    rows = np.concatenate(spoilt)
    clean = np.concatenate(CLEAN.boxes)
    assert len(rows) == len(clean) + 4 + 3 + 2 + 6 == sum(map(len, labels))
    finite = rows[np.isfinite(rows).all(1)]
    assert len(rows) - len(finite) == 2
    assert ((finite[:, 0] > finite[:, 2]) | (finite[:, 1] > finite[:, 3])).sum() == 7
    assert (finite[:, 0] >= 64).sum() == 4
    assert (finite[:, 0] == finite[:, 2]).sum() == 3
    over = (finite.min(1) < 0) | ((finite.max(1) > 64) & (finite[:, 0] < 64))
    assert over.sum() == 5


def test_planting_leaves_what_it_was_given_alone():
    before = [boxes.copy() for boxes in CLEAN.boxes]
    plant(CLEAN.boxes, CLEAN.labels, size=(64, 64), counts={"reversed": 20})
    assert all(np.array_equal(a, b) for a, b in zip(before, CLEAN.boxes))


@pytest.mark.parametrize(
    ("counts", "said"), [({"reverse": 1}, "did you mean 'reversed'"), ({"duplicate": 9999}, "9999")]
)
def test_planting_what_cannot_be_says_so(counts, said):
    with pytest.raises(ValueError, match=said):
        plant(CLEAN.boxes, CLEAN.labels, size=(64, 64), counts=counts)


@pytest.mark.parametrize("make", [lambda: DigitsUnlabelled(views=0), lambda: DigitScenes(task="x")])
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="got"):
        make()


PLANTED = {
    "reversed": 9,
    "partly_outside": 4,
    "outside": 3,
    "too_small": 2,
    "not_finite": 2,
    "duplicate": 5,
}


def test_planted_boxes_are_found_repaired_and_counted_by_a_policy():
    data = DigitScenes("val", "detection", count=60, planted=PLANTED, policy={"budget": 0.2})
    assert data.findings == {
        "not_finite": {"drop": 2},
        "reversed": {"repair": 9},
        "outside": {"drop": 3},
        "partly_outside": {"clip": 4},
        "empty": {"drop": 2},
        "duplicate": {"drop": 5},
    }
    clean = DigitScenes("val", "detection", count=60)
    assert [len(boxes) for boxes in data.boxes] == [len(boxes) for boxes in clean.boxes]
    same = sum(np.array_equal(a, b) for a, b in zip(data.boxes, clean.boxes))
    assert same >= 56
    assert all(np.array_equal(a, b) for a, b in zip(data.labels, clean.labels))


def test_a_small_budget_stops_on_planted_boxes():
    with pytest.raises(AnnotationError, match="budget"):
        DigitScenes("val", "detection", count=60, planted=PLANTED, policy={})

"""Transforms that move things: image, label map, masks, boxes and points stay together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.data import Compose, seed_sample
from loopwright.data.transforms.base import resized
from loopwright.data.transforms.crop import CenterCrop, Pad, RandomCrop, RandomResizedCrop
from loopwright.data.transforms.flip import RandomFlip
from loopwright.data.transforms.mix import MixUp, Mosaic
from loopwright.data.transforms.resize import (
    RandomChoiceResize,
    RandomResize,
    Resize,
    ResizeEdge,
    fitted,
)


def scene(height=20, width=30):
    """A black image with one white rectangle, and that rectangle as box, mask, labels, corner."""
    image = np.zeros((height, width, 3), np.uint8)
    image[4:10, 6:16] = 255
    mask = (image[..., 0] > 0).astype(np.uint8)
    return {
        "img": image,
        "img_shape": (height, width),
        "gt_bboxes": np.array([[6, 4, 16, 10]], np.float32),
        "gt_bboxes_labels": np.array([3]),
        "gt_ignore_flags": np.array([False]),
        "gt_masks": mask[None],
        "gt_seg_map": mask * 7,
        "gt_keypoints": np.array([[[6.0, 4.0, 1.0]]], np.float32),
    }


def around(mask):
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def in_step(results, tolerance=0):
    """Whether image, masks and labels all show the rectangle where the box is."""
    box = results["gt_bboxes"][0]
    shown = [around(results["img"][..., 0] > 127), around(results["gt_masks"][0] > 0)]
    shown.append(around(results["gt_seg_map"] == 7))
    sizes = {results["gt_seg_map"].shape, results["gt_masks"].shape[1:], results["img_shape"]}
    return all(np.abs(box - s).max() <= tolerance for s in shown) and len(sizes) == 1


def test_resizing_scales_everything():
    results = Resize(scale=(60, 40))(scene())
    assert results["img"].shape == (40, 60, 3)
    assert results["gt_bboxes"].tolist() == [[12, 8, 32, 20]]
    assert results["gt_keypoints"][0, 0].tolist() == [12, 8, 1]
    assert results["scale_factor"] == (2.0, 2.0)
    assert in_step(results, tolerance=1)


@given(
    height=st.integers(1, 2000), width=st.integers(1, 2000), long=st.integers(1, 1500),
    short=st.integers(1, 1500),
)  # fmt: skip
def test_keeping_the_ratio_stays_within_both_edges(height, width, long, short):
    tall, wide = fitted(height, width, (long, short))
    assert max(tall, wide) <= max(long, short) + 0.5
    assert min(tall, wide) <= min(long, short) + 0.5


def test_resizing_takes_factors_edges_and_random_scales():
    assert Resize(scale_factor=0.5)(scene())["img"].shape == (10, 15, 3)
    assert Resize(scale=(15, 15), keep_ratio=True)(scene())["img"].shape == (10, 15, 3)
    assert ResizeEdge(10)(scene())["img"].shape == (10, 15, 3)
    assert ResizeEdge(60, edge="width")(scene())["img"].shape == (40, 60, 3)
    drawn = {
        RandomResize(scale=(30, 20), ratio_range=(0.5, 2.0), keep_ratio=True)(scene())["img_shape"]
        for _ in range(20)
    }
    assert len(drawn) > 5
    assert all(10 <= height <= 40 for height, _ in drawn)
    between = RandomResize(scale=[(30, 20), (60, 40)], keep_ratio=True)(scene())
    assert 20 <= between["img_shape"][0] <= 40
    assert RandomChoiceResize([(15, 10)])(scene())["img_shape"] == (10, 15)


def test_shrinking_smooths_and_labels_are_picked():
    board = np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255
    small = resized(board, 8, 8)
    assert small.std() < 10
    assert set(resized(board, 8, 8, "nearest").ravel()) <= {0, 255}


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_flipping_mirrors_everything_and_twice_is_nothing(direction):
    flip = RandomFlip(prob=1.0, direction=direction)
    once = flip(scene())
    assert in_step(once)
    assert not np.array_equal(once["gt_bboxes"], scene()["gt_bboxes"])
    twice = flip(once)
    for key in ("img", "gt_bboxes", "gt_keypoints", "gt_masks", "gt_seg_map"):
        np.testing.assert_array_equal(twice[key], scene()[key])


def test_directions_share_the_probability_and_labels_can_swap_sides():
    flip = RandomFlip(prob=[0.3, 0.3], direction=["horizontal", "vertical"])
    np.random.seed(0)
    drawn = [flip(scene())["flip_direction"] for _ in range(300)]
    assert {None, "horizontal", "vertical"} == set(drawn)
    assert 60 < drawn.count("vertical") < 120
    swapped = RandomFlip(prob=1.0, swap_seg_labels=[(7, 8)])(scene())
    assert set(np.unique(swapped["gt_seg_map"])) == {0, 8}
    with pytest.raises(ValueError, match="got 'sideways'"):
        RandomFlip(prob=0.5, direction="sideways")


def test_padding_leaves_boxes_and_fills_the_rest():
    results = Pad(size=(40, 32), pad_val={"img": (1, 2, 3), "seg": 255})(scene())
    assert in_step(results)
    assert results["img"].shape == (32, 40, 3)
    assert results["img"][-1, -1].tolist() == [1, 2, 3]
    assert results["gt_seg_map"][-1, -1] == 255
    assert Pad(size_divisor=16)(scene())["img_shape"] == (32, 32)
    assert Pad(pad_to_square=True)(scene())["img_shape"] == (30, 30)


def test_cropping_clips_boxes_and_drops_those_outside():
    results = CenterCrop((10, 10))(scene())
    assert results["img"].shape == (10, 10, 3)
    assert in_step(results)
    two = scene()
    for key, more in (("gt_bboxes", [[25, 15, 30, 20]]), ("gt_bboxes_labels", [9])):
        two[key] = np.concatenate([two[key], np.array(more, two[key].dtype)])
    two["gt_ignore_flags"] = np.array([False, True])
    two["gt_masks"] = np.concatenate([two["gt_masks"], np.zeros((1, 20, 30), np.uint8)])
    del two["gt_keypoints"]
    results = CenterCrop((10, 10))(two)
    assert results["gt_bboxes_labels"].tolist() == [3]
    assert len(results["gt_masks"]) == len(results["gt_ignore_flags"]) == 1


def test_random_crops_vary_and_one_without_a_box_is_left_out():
    np.random.seed(0)
    crops = [RandomCrop((8, 8))(scene()) for _ in range(60)]
    assert None in crops
    kept = [crop for crop in crops if crop is not None]
    assert len({crop["gt_bboxes"].tobytes() for crop in kept}) > 10
    assert all(crop["img"].shape == (8, 8, 3) and in_step(crop) for crop in kept)
    bare = RandomCrop((8, 8), allow_negative_crop=True)
    assert all(bare(scene()) is not None for _ in range(20))


def test_a_crop_of_one_class_is_drawn_again():
    np.random.seed(0)
    labelled = [
        RandomCrop((8, 8), cat_max_ratio=0.75, allow_negative_crop=True)(scene())["gt_seg_map"]
        for _ in range(30)
    ]
    plain = [RandomCrop((8, 8), allow_negative_crop=True)(scene()) for _ in range(30)]
    varied = sum(len(np.unique(labels)) > 1 for labels in labelled)
    assert varied > sum(len(np.unique(crop["gt_seg_map"])) > 1 for crop in plain)


def test_a_crop_can_take_its_boxes_from_the_masks():
    np.random.seed(1)
    crop = RandomCrop((12, 12), recompute_bbox=True)
    assert all(found is None or in_step(found) for found in (crop(scene()) for _ in range(20)))


def test_a_resized_crop_has_the_size_asked_for():
    np.random.seed(0)
    for _ in range(20):
        results = RandomResizedCrop(16)(scene())
        assert results["img"].shape == (16, 16, 3)
        assert len(results["gt_bboxes"]) == len(results["gt_masks"])
    assert RandomResizedCrop((8, 4), crop_ratio_range=(9, 9))(scene())["img_shape"] == (4, 8)


class Scenes:
    def __len__(self):
        return 5

    def get_data_info(self, index):
        return scene()


def mixed(transform, place=3):
    pipeline = Compose([transform])
    seed_sample(0, 0, place)
    return pipeline({**scene(), "dataset": Scenes()})


def test_a_mosaic_holds_four_samples_in_step():
    results = mixed(Mosaic((30, 20), pad_val=9))
    assert results["img"].shape == (40, 60, 3)
    assert 1 <= len(results["gt_bboxes"]) <= 4
    assert len(results["gt_bboxes_labels"]) == len(results["gt_masks"]) == len(results["gt_bboxes"])
    for box, mask in zip(results["gt_bboxes"], results["gt_masks"]):
        assert around(mask > 0) == box.astype(int).tolist()
        left, top, right, bottom = box.astype(int)
        assert results["img"][top:bottom, left:right].min() == 255
    again = mixed(Mosaic((30, 20), pad_val=9))
    np.testing.assert_array_equal(again["img"], results["img"])
    assert not np.array_equal(mixed(Mosaic((30, 20), pad_val=9), 4)["img"], results["img"])


def test_mix_up_shows_both_at_half_strength():
    results = mixed(MixUp((30, 20), ratio_range=(1.0, 1.0), flip_ratio=0.0, pad_val=0))
    assert results["img"].shape == (20, 30, 3)
    assert results["gt_bboxes"].tolist() == [[6, 4, 16, 10]] * 2
    assert set(np.unique(results["img"])) == {0, 255}
    flipped = mixed(MixUp((30, 20), ratio_range=(1.0, 1.0), flip_ratio=1.0, pad_val=0))
    assert flipped["gt_bboxes"][1].tolist() == [14, 4, 24, 10]
    assert 127 in np.unique(flipped["img"])


@pytest.mark.parametrize("transform", [Mosaic((30, 20), prob=0.0), MixUp((30, 20), prob=0.0)])
def test_mixing_can_be_left_to_chance(transform):
    np.testing.assert_array_equal(mixed(transform)["img"], scene()["img"])

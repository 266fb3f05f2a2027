"""Pictures: what is drawn is where and of the colour it should be."""

import numpy as np
import pytest
import torch

from loopwright.vision import draw

RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (3, 6, 8), (6, 8, 1), (6, 8, 3)])
def test_every_layout_of_an_image_becomes_height_width_three(shape):
    assert draw.to_picture(torch.rand(shape)).shape == (6, 8, 3)


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 6, 8\)"):
        draw.to_picture(torch.rand(2, 6, 8))


def test_the_range_of_floats_is_understood():
    assert draw.to_picture(np.full((2, 2), 0.5)).max() == 128
    assert draw.to_picture(np.full((2, 2), 200.0)).max() == 200
    stretched = draw.to_picture(np.array([[-2.0, 2.0]]))
    assert stretched[0, :, 0].tolist() == [0, 255]


def test_a_normalised_image_is_given_back_its_colours():
    image = (torch.full((1, 2, 2), 100.0) - 50) / 25
    assert draw.to_picture(image, mean=[50], std=[25]).max() == 100


def test_bfloat16_is_drawn():
    assert draw.to_picture(torch.full((1, 2, 2), 0.5, dtype=torch.bfloat16)).max() == 128


def test_an_overlay_colours_the_class_and_leaves_the_unknown():
    mask = np.array([[1, 0], [255, 1]])
    drawn = draw.overlay(np.zeros((2, 2)), mask, [(0, 0, 0), RED], alpha=1.0)
    assert drawn[0, 0].tolist() == drawn[1, 1].tolist() == list(RED)
    assert drawn[0, 1].tolist() == drawn[1, 0].tolist() == [0, 0, 0]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="size"):
        draw.overlay(np.zeros((2, 2)), np.zeros((3, 3)))


def test_a_box_is_drawn_on_its_outermost_pixels():
    drawn = draw.draw_boxes(np.zeros((10, 10)), [[2, 3, 6, 8]], palette=[RED])
    red = (drawn == RED).all(-1)
    assert np.argwhere(red).min(0).tolist() == [3, 2]
    assert np.argwhere(red).max(0).tolist() == [7, 5]
    assert not red[5, 4]


def test_boxes_that_are_reversed_or_not_finite_do_not_break_the_drawing():
    boxes = [[6, 8, 2, 3], [np.nan, 0, 1, 1]]
    drawn = draw.draw_boxes(np.zeros((10, 10)), boxes, palette=[RED])
    assert (drawn == RED).all(-1).sum() == 14


def test_segmentation_shows_image_truth_and_prediction_beside_each_other():
    truth = np.zeros((56, 56), int)
    truth[:28] = 1
    drawn = draw.draw_seg(
        torch.zeros(1, 56, 56), torch.tensor(truth), 1 - truth, ("a", "b"), [(0, 0, 0), RED]
    )
    assert drawn.shape == (14 + 224 + 14, 3 * 224 + 8, 3)
    top, bottom = 14 + 10, 14 + 200
    assert drawn[top, 10].tolist() == drawn[top, 470].tolist() == [0, 0, 0]
    assert drawn[top, 240].tolist() == drawn[bottom, 470].tolist() == [153, 0, 0]


def test_detection_leaves_out_what_the_model_does_not_believe():
    image = np.zeros((56, 56))
    found = {"boxes": [[5, 20, 20, 40], [30, 20, 50, 40]], "labels": [0, 1], "scores": [0.9, 0.1]}
    drawn = draw.draw_det(image, None, found, ("a", "b"), [RED, GREEN])
    assert (drawn == RED).all(-1).any()
    assert not (drawn == GREEN).all(-1).any()


def test_detection_with_nothing_found_is_still_a_picture():
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    assert draw.draw_det(np.zeros((56, 56)), empty, empty).shape == (238, 452, 3)
    assert draw.draw_det(np.zeros((56, 56))).shape == (238, 224, 3)


def test_missing_colours_are_made_and_distinct():
    colours = draw.palette_of(30, [RED])
    assert colours[0] == RED
    assert len(set(colours)) == 30


def test_a_saved_picture_reads_back(tmp_path):
    from PIL import Image

    picture = draw.draw_det(np.random.RandomState(0).rand(20, 20))
    path = draw.save(picture, tmp_path / "made" / "a.png")
    assert np.array_equal(np.asarray(Image.open(path)), picture)


def test_the_best_prediction_is_drawn_on_top():
    boxes, labels = [[5, 20, 20, 40]] * 2, [0, 1]
    drawn = draw.draw_boxes(
        np.zeros((56, 56)), boxes, labels, [0.9, 0.4], classes=("a", "b"), palette=[RED, GREEN]
    )
    assert (drawn == RED).all(-1).any()
    assert drawn[30, 5].tolist() == list(RED)

"""Drawing: pixels where they belong, and shapes that make no sense refused."""

import numpy as np
import pytest
import torch

from loopwright.log.canvas import colour
from loopwright.log.drawing import Drawing

RED, GREEN, WHITE = [255, 0, 0], [0, 128, 0], [255, 255, 255]


@pytest.fixture
def drawing():
    return Drawing(image=np.zeros((20, 30, 3), np.uint8))


def at(drawing, x, y):
    return drawing.get_image()[y, x].tolist()


def test_a_box_is_drawn_on_its_edges_and_not_inside(drawing):
    drawing.draw_bboxes(torch.tensor([[5, 4, 25, 15]]), edge_colors="r", line_widths=1, alpha=1)
    assert at(drawing, 15, 4) == at(drawing, 5, 10) == RED
    assert at(drawing, 15, 10) == [0, 0, 0]


def test_a_face_colour_fills_with_its_opacity(drawing):
    drawing.draw_bboxes([5, 4, 25, 15], edge_colors="none", face_colors="w", alpha=0.5)
    assert at(drawing, 15, 10) == [128, 128, 128]


def test_each_shape_takes_its_own_colour_from_a_list(drawing):
    boxes = [[0, 0, 5, 5], [10, 0, 15, 5]]
    drawing.draw_bboxes(boxes, edge_colors=["r", "w"], line_widths=[1, 1], alpha=1)
    assert (at(drawing, 2, 0), at(drawing, 12, 0)) == (RED, WHITE)
    with pytest.raises(ValueError, match="1 values were given for 2 shapes"):
        drawing.draw_bboxes(boxes, edge_colors=["r"])


def test_reversed_corners_and_wrong_shapes_are_refused(drawing):
    with pytest.raises(ValueError, match="x1 <= x2"):
        drawing.draw_bboxes([5, 5, 1, 1])
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        drawing.draw_bboxes([[1, 2, 3]])
    with pytest.raises(ValueError, match="image of size"):
        drawing.draw_binary_masks(np.ones((3, 3), bool))
    with pytest.raises(RuntimeError, match="set_image"):
        Drawing().draw_bboxes([1, 1, 2, 2])


def test_boxes_outside_the_image_are_clipped(drawing):
    before = drawing.get_image()
    drawing.draw_bboxes([-50, -50, -10, -10]).draw_bboxes([100, 100, 120, 130])
    assert (drawing.get_image() == before).all()


def test_a_mask_tints_its_pixels_alone(drawing):
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2:4, 5:9] = True
    drawing.draw_binary_masks(mask, colors=(200, 100, 0), alphas=0.5)
    assert at(drawing, 6, 3) == [100, 50, 0]
    assert at(drawing, 9, 3) == [0, 0, 0]


def test_lines_circles_points_and_polygons(drawing):
    drawing.draw_lines(torch.tensor([0, 29]), torch.tensor([10, 10]), colors="r", line_widths=1)
    drawing.draw_circles(np.array([10, 5]), np.array([3]), face_colors="w", alpha=1)
    drawing.draw_points(np.array([[20, 5]]), colors="g", sizes=np.array([9]))
    triangle = np.array([[1, 12], [12, 12], [12, 19]])
    drawing.draw_polygons([triangle], edge_colors="none", face_colors="b", alpha=1)
    assert at(drawing, 15, 10) == RED
    assert at(drawing, 10, 5) == WHITE
    assert at(drawing, 20, 5) == GREEN
    assert at(drawing, 10, 14) == [0, 0, 255]


def test_a_dashed_line_has_gaps():
    drawing = Drawing(image=np.zeros((5, 60, 3), np.uint8))
    drawing.draw_lines([0, 59], [2, 2], colors="w", line_styles="--", line_widths=1)
    row = drawing.get_image()[2, :, 0]
    assert 15 < (row > 0).sum() < 45


def test_text_is_written_at_its_side_of_the_position():
    def columns(alignment):
        drawing = Drawing(image=np.zeros((40, 200, 3), np.uint8))
        drawing.draw_texts(
            "word", [100, 5], font_sizes=16, colors="w", horizontal_alignments=alignment
        )
        return np.flatnonzero(drawing.get_image().any(axis=(0, 2)))

    assert columns("left").min() >= 99
    assert columns("right").max() <= 101
    assert columns("center").min() < 100 < columns("center").max()


def test_a_text_may_have_a_box_behind_it():
    drawing = Drawing(image=np.zeros((40, 100, 3), np.uint8))
    drawing.draw_texts(["a"], [[10, 10]], font_sizes=20, bboxes={"facecolor": "w", "alpha": 1})
    assert (drawing.get_image() == 255).all(axis=2).sum() > 50
    with pytest.raises(ValueError, match="2 texts came with 1 positions"):
        drawing.draw_texts(["a", "b"], [[1, 1]])


def test_feature_maps_are_reduced_overlaid_and_tiled():
    features = torch.rand(6, 8, 10)
    assert Drawing.draw_featmap(features).shape == (8, 10, 3)
    over = Drawing.draw_featmap(features, np.zeros((16, 20, 3), np.uint8))
    assert over.shape == (16, 20, 3)
    grid = Drawing.draw_featmap(
        features, channel_reduction=None, topk=4, arrangement=(2, 3), resize_shape=(4, 5)
    )
    assert grid.shape == (8, 15, 3)
    assert (grid[4:, 5:] == 255).all()
    strongest = torch.zeros(2, 4, 4)
    strongest[1, 2, 3] = 1.0
    picked = Drawing.draw_featmap(strongest, channel_reduction="select_max")
    assert picked[2, 3].tolist() != picked[0, 0].tolist()
    with pytest.raises(ValueError, match="no room for topk=9"):
        Drawing.draw_featmap(features, channel_reduction=None, topk=9, arrangement=(2, 2))


def test_an_image_is_shown_without_a_screen(drawing):
    pytest.importorskip("matplotlib").use("Agg")
    drawing.show(wait_time=0.01)
    drawing.show(np.zeros((4, 4, 3), np.uint8))


def test_colours_of_every_spelling():
    assert colour("#ff8000") == colour((255, 128, 0)) == (255, 128, 0)
    assert colour("orange") == (255, 165, 0)
    with pytest.raises(ValueError):
        colour("no such colour")

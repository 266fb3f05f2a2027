import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.vision.models.boxops import areas, batched_nms, boxes_around, giou, inside, nms
from loopwright.vision.models.boxops import pairwise_iou as iou

side = st.floats(0, 50, width=32)
box = st.tuples(side, side, st.floats(1, 50, width=32), st.floats(1, 50, width=32)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
boxes = st.lists(box, min_size=1, max_size=8).map(torch.tensor)


@given(boxes)
def test_a_box_overlaps_itself_wholly(given_boxes):
    assert torch.allclose(iou(given_boxes, given_boxes).diagonal(), torch.ones(len(given_boxes)))
    assert torch.allclose(giou(given_boxes, given_boxes), torch.ones(len(given_boxes)), atol=1e-5)


@given(boxes)
def test_overlaps_are_symmetric_and_between_0_and_1(given_boxes):
    table = iou(given_boxes, given_boxes)
    assert torch.allclose(table, table.t())
    assert (table >= 0).all()
    assert (table <= 1 + 1e-5).all()


def test_areas_and_overlaps_by_hand():
    a, b = torch.tensor([[0.0, 0, 4, 2]]), torch.tensor([[2.0, 0, 6, 2]])
    assert areas(a).item() == 8
    assert areas(torch.tensor([[3.0, 0, 1, 2]])).item() == 0
    assert iou(a, b).item() == torch.tensor(4 / 12).item()
    # hull 12, union 12: no correction; one apart: hull 14, union 16 less 2
    assert giou(a, b).item() == torch.tensor(4 / 12).item()
    far = torch.tensor([[6.0, 0, 8, 2]])
    assert abs(giou(a, far).item() - -(16 - 12) / 16) < 1e-6


def test_points_lie_inside_or_not():
    points = torch.tensor([[1.0, 1.0], [0.0, 1.0], [3.0, 3.0]])
    where = inside(points, torch.tensor([[0.0, 0, 2, 2], [2.0, 2, 4, 4]]))
    assert where.tolist() == [[True, False], [False, False], [False, True]]


def test_boxes_lie_around_their_points():
    made = boxes_around(torch.tensor([[5.0, 5.0]]), torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert made.tolist() == [[4, 3, 8, 9]]


def slow_nms(given_boxes, scores, threshold):
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        if all(iou(given_boxes[i : i + 1], given_boxes[j : j + 1]) <= threshold for j in kept):
            kept.append(i)
    return kept


@given(boxes, st.sampled_from([0.1, 0.5, 0.9]), st.randoms())
def test_suppression_keeps_the_best_and_what_is_far_from_them(given_boxes, threshold, random):
    scores = torch.tensor([random.random() for _ in given_boxes])
    assert nms(given_boxes, scores, threshold).tolist() == slow_nms(given_boxes, scores, threshold)


def test_classes_do_not_suppress_each_other():
    same = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 3.9]])
    scores, labels = torch.tensor([0.5, 0.9, 0.8]), torch.tensor([0, 1, 1])
    assert batched_nms(same, scores, labels, 0.5).tolist() == [1, 0]
    assert batched_nms(same[:0], scores[:0], labels[:0], 0.5).tolist() == []

"""Every kind of bad box is found, handled as the policy says, and counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from loopwright.vision.boxes import check_budget, repair
from loopwright.vision.policy import ACTIONS, CAUSES, AnnotationError, Policy, policy_of, strict

NAN, INF = float("nan"), float("inf")

MATRIX = [
    ("reversed x and y", (30, 40, 10, 20), (10, 20, 30, 40), {"reversed"}),
    ("reversed x alone", (30, 20, 10, 40), (10, 20, 30, 40), {"reversed"}),
    ("reversed y alone", (10, 40, 30, 20), (10, 20, 30, 40), {"reversed"}),
    ("partly outside", (-5, -5, 20, 20), (0, 0, 20, 20), {"partly_outside"}),
    ("over the far border", (90, 90, 120, 130), (90, 90, 100, 100), {"partly_outside"}),
    ("around the image", (-5, -5, 120, 130), (0, 0, 100, 100), {"partly_outside"}),
    ("fully outside", (110, 110, 130, 130), None, {"outside"}),
    ("fully outside to the left", (-30, 10, -10, 20), None, {"outside"}),
    ("touching from outside", (-10, 10, 0, 20), None, {"outside"}),
    ("reversed, partly outside", (20, 20, -5, -5), (0, 0, 20, 20), {"reversed", "partly_outside"}),
    ("reversed and outside", (130, 130, 110, 110), None, {"reversed", "outside"}),
    ("zero width", (10, 10, 10, 20), None, {"empty"}),
    ("zero width and height", (10, 10, 10, 10), None, {"empty"}),
    ("0.4 pixels wide", (10, 10, 10.4, 20), None, {"too_small"}),
    ("0.4 pixels left after the clip", (99.6, 10, 120, 20), None, {"partly_outside", "too_small"}),
    ("one pixel wide", (10, 10, 11, 20), (10, 10, 11, 20), set()),
    ("NaN", (NAN, 10, 20, 20), None, {"not_finite"}),
    ("infinite", (10, 10, INF, 20), None, {"not_finite"}),
    ("minus infinite", (-INF, 10, 20, 20), None, {"not_finite"}),
    ("the whole image", (0, 0, 100, 100), (0, 0, 100, 100), set()),
    ("a rounding error over the border", (0, 0, 100.004, 50), (0, 0, 100, 50), set()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "box", "wanted", "causes"), MATRIX, ids=[m[0] for m in MATRIX])
def test_each_bad_box_is_repaired_or_dropped_and_named(name, box, wanted, causes):
    done = repair([box], (100, 100))
    assert done.boxes.tolist() == ([list(map(float, wanted))] if wanted else [])
    assert set(done.findings.counts()) == causes


def test_all_of_them_together_are_counted_per_cause_and_action():
    boxes = [box for _, box, _, _ in MATRIX]
    done = repair(boxes, (100, 100), image=range(len(boxes)))
    assert done.findings.table() == {
        "not_finite": {"drop": 3},
        "reversed": {"repair": 5},
        "outside": {"drop": 4},
        "partly_outside": {"clip": 5},
        "empty": {"drop": 2},
        "too_small": {"drop": 2},
    }
    assert done.findings.dropped == 11
    assert done.index.tolist() == [i for i, m in enumerate(MATRIX) if m[2] is not None]


def test_clean_boxes_come_out_as_they_went_in_and_nothing_is_found():
    boxes = np.array([[1.25, 2, 30, 40], [0, 0, 5, 5]])
    done = repair(boxes, (100, 50))
    assert np.array_equal(done.boxes, boxes)
    assert not done.findings


def test_no_boxes_are_no_problem():
    done = repair([], (10, 10))
    assert done.boxes.shape == (0, 4)
    assert done.findings.total == 0
    assert done.findings.share_dropped == 0


def test_width_and_height_are_not_mixed_up():
    assert len(repair([[60, 10, 80, 20]], (100, 50)).boxes) == 1
    assert len(repair([[10, 60, 20, 80]], (100, 50)).boxes) == 0


def test_a_size_for_each_box():
    done = repair([[0, 0, 30, 30], [0, 0, 30, 30]], [[100, 100], [20, 10]])
    assert done.boxes.tolist() == [[0, 0, 30, 30], [0, 0, 20, 10]]


def test_a_duplicate_is_the_same_box_and_class_in_the_same_image():
    box = [1, 1, 9, 9]
    done = repair([box] * 5, (10, 10), labels=[0, 0, 1, 0, 0], image=[0, 0, 0, 1, 1])
    assert done.index.tolist() == [0, 2, 3]
    assert done.findings.table() == {"duplicate": {"drop": 2}}


def test_boxes_that_become_equal_by_repair_are_duplicates():
    done = repair([[5, 5, 1, 1], [1, 1, 5, 5], [-0.0, 0, 5, 5], [0, -3, 5, 5]], (10, 10))
    assert done.index.tolist() == [0, 2]


def test_ignored_boxes_stay_and_are_marked():
    policy = Policy(reversed="ignore", partly_outside="ignore")
    done = repair([[5, 5, 1, 1], [0, 0, 5, 5], [-3, 0, 4, 4]], (10, 10), policy)
    assert done.ignore.tolist() == [True, False, True]
    assert done.boxes.tolist() == [[1, 1, 5, 5], [0, 0, 5, 5], [0, 0, 4, 4]]


def test_kept_boxes_are_counted_and_left_alone():
    policy = Policy(partly_outside="keep", too_small="keep", duplicate="keep")
    boxes = [[-5, 0, 5, 5], [1, 1, 1.5, 2], [1, 1, 1.5, 2]]
    done = repair(boxes, (10, 10), policy)
    assert done.boxes.tolist() == boxes
    assert done.findings.counts() == {"partly_outside": 1, "too_small": 2, "duplicate": 1}


def test_a_box_that_is_hardly_visible_counts_as_outside():
    box = [[-90, 0, 10, 10]]
    assert len(repair(box, (100, 100), Policy(min_visible=0.1)).boxes) == 1
    done = repair(box, (100, 100), Policy(min_visible=0.11))
    assert done.findings.table() == {"outside": {"drop": 1}}


def test_an_error_names_cause_count_and_the_first_boxes():
    with pytest.raises(AnnotationError, match=r"2 boxes are reversed .* first: 1: \[9.0, 1.0"):
        repair([[1, 1, 2, 2], [9, 1, 5, 5], [9, 1, 6, 5]], (10, 10), Policy(reversed="error"))


def test_a_strict_policy_lets_only_clean_boxes_pass():
    repair([[1, 1, 5, 5]], (10, 10), strict(Policy()))
    for name, box, _, causes in MATRIX:
        if causes:
            with pytest.raises(AnnotationError):
                repair([box], (100, 100), strict(Policy())), name


def test_the_budget_is_a_share_of_all_boxes():
    boxes = [[0, 0, 5 + i, 5] for i in range(198)] + [[5, 5, 5, 5]] * 2
    within = repair(boxes, (300, 300)).findings
    check_budget(within, Policy())
    over = repair([*boxes[1:], [7, 7, 7, 7]], (300, 300)).findings
    with pytest.raises(AnnotationError, match=r"3 of 200 .*1.50 %.*budget of 1 %: 3 empty"):
        check_budget(over, Policy())
    check_budget(over, Policy(budget=None))


def test_an_area_that_cannot_be_is_recomputed_and_one_that_can_be_is_kept():
    boxes = [[0, 0, 10, 10]] * 4 + [[20, 0, 10, 10]]
    done = repair(
        boxes, (50, 50), Policy(duplicate="keep"), area=[80.0, -100.0, 300.0, NAN, -100.0]
    )
    assert done.area.tolist() == [80, 100, 100, 100, 100]
    assert done.findings.counts() == {"reversed": 1, "duplicate": 3, "area": 2}


def test_the_area_of_a_mask_outlives_the_repair_of_its_box():
    frame = [[10, 0, 20, 10]]
    done = repair([[20, 0, 10, 10]], (50, 50), area=[61.0], extent=frame)
    assert done.area.tolist() == [61]


def test_a_box_is_compared_with_the_frame_of_its_mask():
    boxes, frames = [[0, 0, 10, 10], [0, 0, 10, 10]], [[30, 30, 40, 40], [NAN] * 4]
    counted = repair(boxes, (50, 50), image=[0, 1], extent=frames)
    assert counted.findings.table() == {"mask": {"keep": 1}}
    taken = repair(boxes, (50, 50), Policy(mask="repair"), image=[0, 1], extent=frames)
    assert taken.boxes.tolist() == [[30, 30, 40, 40], [0, 0, 10, 10]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reverse": "drop"}, "did you mean 'reversed'"),
        ({"reversed": "clip"}, "repair, drop, ignore, error; got 'clip'"),
        ({"not_finite": "repair"}, "got 'repair'"),
        ({"budget": 2}, "share from 0 to 1"),
        ({"suspicion": "drop"}, "suspicion"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        policy_of(given)


COORDINATE = st.one_of(
    st.floats(-150, 250, width=32), st.sampled_from([0.0, 100.0, 50.0, NAN, INF, -INF, 1e300])
)
BOXES = arrays(np.float64, st.tuples(st.integers(0, 12), st.just(4)), elements=COORDINATE)
POLICIES = st.builds(
    Policy,
    reversed=st.sampled_from(["repair", "drop", "ignore"]),
    partly_outside=st.sampled_from(["clip", "drop", "ignore"]),
    too_small=st.sampled_from(["drop", "keep", "ignore"]),
    duplicate=st.sampled_from(["drop", "keep", "ignore"]),
    min_size=st.sampled_from([0.0, 1.0, 5.0]),
    min_visible=st.sampled_from([0.0, 0.3]),
)


@given(BOXES, POLICIES)
def test_what_comes_out_is_inside_the_image_with_corners_in_order(boxes, policy):
    out = repair(boxes, (100, 60), policy).boxes
    assert np.isfinite(out).all()
    assert (out[:, :2] < out[:, 2:]).all()
    assert (out >= 0).all()
    assert (out[:, 2] <= 100).all()
    assert (out[:, 3] <= 60).all()


@given(BOXES, POLICIES)
def test_repairing_twice_is_repairing_once(boxes, policy):
    once = repair(boxes, (100, 60), policy)
    twice = repair(once.boxes, (100, 60), policy)
    assert np.array_equal(once.boxes, twice.boxes)
    assert set(twice.findings.counts()) <= {"too_small", "duplicate"}
    assert twice.findings.dropped == 0


@given(BOXES, BOXES, st.sampled_from(["repair", "drop", "ignore", "keep"]))
def test_repairing_twice_is_repairing_once_with_masks_too(boxes, frames, action):
    count = min(len(boxes), len(frames))
    frames = np.where(np.isfinite(frames).all(1, keepdims=True), frames, NAN)[:count]
    policy = Policy(mask=action)
    once = repair(boxes[:count], (100, 60), policy, area=np.full(count, 9.0), extent=frames)
    kept = frames[once.index]
    twice = repair(once.boxes, (100, 60), policy, area=once.area, extent=kept)
    assert np.array_equal(once.boxes, twice.boxes)
    assert np.array_equal(once.area, twice.area)
    assert set(twice.findings.counts()) <= {"mask"}
    assert action in ("ignore", "keep") or not twice.findings


def test_a_frame_that_is_taken_can_be_small_or_a_duplicate():
    boxes, frames = [[0, 0, 10, 10], [0, 0, 11, 11], [0, 0, 12, 12]], [[30, 30, 40, 40]] * 2
    done = repair(
        boxes, (50, 50), Policy(mask="repair"), extent=[*frames, [5, 5, 5.5, 9]], area=[NAN] * 3
    )
    assert done.boxes.tolist() == [[30, 30, 40, 40]]
    assert done.findings.counts() == {"too_small": 1, "duplicate": 1, "mask": 3}


def test_the_area_of_a_mask_takes_the_place_of_one_that_cannot_be():
    box = [[0, 0, 10, 10], [0, 20, 10, 30], [20, 0, 30, 10]]
    given = {"area": [500.0, 70.0, NAN], "mask_area": [60.0, 60.0, 60.0]}
    done = repair(box, (50, 50), extent=box, **given)
    assert done.area.tolist() == [60, 70, 60]
    assert done.findings.table() == {"area": {"repair": 1}}


@given(BOXES, POLICIES, st.data())
def test_order_is_kept_and_labels_stay_with_their_boxes(boxes, policy, data):
    labels = data.draw(arrays(np.int64, len(boxes), elements=st.integers(0, 2)))
    done = repair(boxes, (100, 60), policy, labels=labels)
    assert (np.diff(done.index) > 0).all()
    assert len(done.boxes) == len(done.index) == len(done.ignore) == len(done.area)
    for row, box in zip(done.index, done.boxes):
        ends = np.sort(boxes[row].reshape(2, 2), axis=0).clip(0, [100, 60])
        assert np.array_equal(box, ends.reshape(-1))


@given(BOXES, POLICIES)
def test_every_box_is_either_there_or_dropped_for_one_cause(boxes, policy):
    done = repair(boxes, (100, 60), policy)
    assert len(done.boxes) + done.findings.dropped == len(boxes)


@given(BOXES)
def test_images_do_not_disturb_each_other(boxes):
    together = repair(boxes, (100, 60), image=np.arange(len(boxes)) % 2)
    apart = [repair(boxes[start::2], (100, 60)) for start in (0, 1)]
    rows = sorted([*(2 * apart[0].index), *(2 * apart[1].index + 1)])
    assert together.index.tolist() == rows


def test_every_cause_can_be_an_error_and_has_a_meaning():
    from loopwright.vision.policy import MEANING

    assert set(MEANING) == set(CAUSES)
    assert all("error" in actions for actions in ACTIONS.values())


def test_what_was_given_is_not_changed():
    boxes = np.array([[30.0, 40, 10, 20], [NAN, 0, 1, 1]])
    before = boxes.copy()
    repair(boxes, (100, 100))
    assert np.array_equal(boxes, before, equal_nan=True)

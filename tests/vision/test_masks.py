"""Masks measured without drawing them: equal to pycocotools', and what is none is named."""

import json

import numpy as np
import pytest
from PIL import Image

from loopwright.vision import annotations as ann
from loopwright.vision.files import CocoDataset
from loopwright.vision.masks import MaskError, decode, measure
from loopwright.vision.policy import Policy

LENIENT = Policy(budget=None)


def runs_of(mask):
    """Uncompressed run lengths, by going through the pixels."""
    lengths, now = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != now:
            lengths.append(0)
            now = pixel
        lengths[-1] += 1
    return {"size": list(mask.shape), "counts": lengths}


def packed(counts):
    """Compressed run lengths, one character at a time, as COCO's format says."""
    text = ""
    for place, run in enumerate(counts):
        value = run - counts[place - 2] if place > 2 else run
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + (32 if more else 0))
    return text


def random_masks(count, seed=0):
    rng = np.random.RandomState(seed)
    made = []
    for _ in range(count):
        height, width = rng.randint(1, 40, 2)
        mask = (rng.rand(height, width) < rng.rand()).astype(np.uint8)
        if rng.rand() < 0.4:
            top, left = rng.randint(height), rng.randint(width)
            mask[:] = 0
            mask[top : top + rng.randint(1, 30), left : left + rng.randint(1, 30)] = 1
        mask[rng.randint(height), rng.randint(width)] = 1
        made.append(mask)
    return made


def frame_and_area(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    frame = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    return frame, mask.sum()


@pytest.mark.parametrize("form", ["list", "text", "mixed"])
def test_run_lengths_have_the_frame_and_area_of_their_pixels(form):
    drawn = random_masks(300)
    masks = [runs_of(mask) for mask in drawn]
    for number, mask in enumerate(masks):
        if form == "text" or (form == "mixed" and number % 2):
            mask["counts"] = packed(mask["counts"])
    sizes = np.array([mask.shape[::-1] for mask in drawn], float)
    found = measure(masks, sizes)
    for number, mask in enumerate(drawn):
        frame, area = frame_and_area(mask)
        assert found.extent[number].tolist() == frame
        assert found.area[number] == area
        assert np.array_equal(decode(masks[number]), mask)
    assert found.faults == []


def test_run_lengths_of_pycocotools_are_read():
    coco = pytest.importorskip("pycocotools.mask")
    for mask in random_masks(50, seed=1):
        written = coco.encode(np.asfortranarray(mask))
        height, width = written["size"]
        text = {"size": [height, width], "counts": written["counts"].decode()}
        assert text["counts"] == packed(runs_of(mask)["counts"])
        assert np.array_equal(decode(text), mask)


def test_polygons_have_their_frame_and_area():
    square, triangle = [2, 1, 6, 1, 6, 5, 2, 5], [0, 0, 3, 0, 0, 4]
    found = measure([[square], None, [triangle, square], []], np.full((4, 2), 100.0))
    assert found.extent[[0, 2]].tolist() == [[2, 1, 6, 5], [0, 0, 6, 5]]
    assert found.area[[0, 2]].tolist() == [16, 22]
    assert np.isnan(found.extent[[1, 3]]).all()
    assert np.isnan(found.area[[1, 3]]).all()


def test_objects_without_masks_are_not_measured():
    assert measure([None, []], np.ones((2, 2))) is None


GOOD = [[1, 1, 5, 1, 5, 5]]
BAD = [
    ("a string", "str is no mask"),
    ([[1, 2, 3, 4]], "at least three points"),
    ([[1, 2, 3, 4, 5, 6, 7]], "at least three points"),
    ([[1, 2, "3", 4, 5, 6]], "no number"),
    ([[1, 2, None, 4, 5, 6]], "no number"),
    ([[1, 2, float("nan"), 4, 5, 6]], "not finite"),
    ([[1, 2, 10**400, 4, 5, 6]], "too large"),
    ([1, 2, 3, 4, 5, 6], "list of numbers"),
    ({"counts": [4]}, "need size"),
    ({"size": [2, 2.0], "counts": [4]}, "need size"),
    ({"size": [-1, 2], "counts": [4]}, "of size"),
    ({"size": [2**30, 2**30], "counts": [2**60]}, "of size"),
    ({"size": [10, 10]}, "need counts"),
    ({"size": [10, 10], "counts": ""}, "need counts"),
    ({"size": [10, 10], "counts": [50, 40]}, "add up"),
    ({"size": [10, 10], "counts": [110, -10]}, "add up"),
    ({"size": [10, 10], "counts": [50, 10**30]}, "add up"),
    ({"size": [10, 10], "counts": [50, 50.0]}, "whole numbers"),
    ({"size": [10, 10], "counts": [100]}, "without a pixel"),
    ({"size": [10, 10], "counts": "é"}, "foreign character"),
    ({"size": [10, 10], "counts": "T"}, "broken off"),
    ({"size": [10, 10], "counts": "oooooooooooo0"}, "add up"),
    ({"size": [10, 20], "counts": [100, 100]}, "run lengths of 10 x 20, its image is 10 x 10"),
]


@pytest.mark.parametrize(("mask", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_mask_is_named_and_spoils_no_other(mask, said):
    found = measure([GOOD, mask, {"size": [10, 10], "counts": [0, 100]}], np.full((3, 2), 10.0))
    assert [row for row, _ in found.faults] == [1]
    assert said in found.faults[0][1]
    assert found.extent[0].tolist() == [1, 1, 5, 5]
    assert found.extent[2].tolist() == [0, 0, 10, 10]
    assert np.isnan(found.extent[1]).all()


def test_a_bad_run_length_is_not_decoded():
    with pytest.raises(MaskError, match="add up"):
        decode({"size": [10, 10], "counts": [50, 40]})


# -- in a file -----------------------------------------------------------------------------------


def ink(left, top, right, bottom, size=(100, 80)):
    mask = np.zeros(size[::-1], np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def text(mask):
    return {**runs_of(mask), "counts": packed(runs_of(mask)["counts"])}


@pytest.fixture
def file(tmp_path):
    """Eight objects: whose box fits its mask, does not, whose area is wrong, whose mask is."""
    near, far = ink(10, 20, 30, 50), ink(60, 20, 80, 50)
    box = [10, 20, 20, 30]
    objects = [
        {"bbox": box, "area": 600, "segmentation": runs_of(near)},
        {"bbox": [11, 20, 20, 30], "area": 600, "segmentation": text(near)},
        {"bbox": [12, 20, 20, 30], "area": 600, "segmentation": runs_of(far)},
        {"bbox": [13, 20, 20, 30], "area": 600, "segmentation": text(far)},
        {"bbox": [14, 20, 20, 30], "area": 9000, "segmentation": text(ink(14, 20, 34, 40))},
        {"bbox": [15, 20, 20, 30], "area": 0, "segmentation": [[15, 20, 35, 20, 35, 50]]},
        {"bbox": [16, 20, 20, 30], "area": 600, "segmentation": {"size": [80, 100], "counts": "T"}},
        {"bbox": [17, 20, 20, 30], "area": 600},
    ]
    Image.new("RGB", (100, 80)).save(tmp_path / "1.png")
    path = tmp_path / "a.json"
    entries = [{"id": n, "image_id": 1, "category_id": 1, **o} for n, o in enumerate(objects)]
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "1.png", "width": 100, "height": 80}],
                "categories": [{"id": 1, "name": "thing"}],
                "annotations": entries,
            }
        )
    )
    return path


def test_boxes_are_compared_with_run_lengths_packed_or_not(file):
    found = ann.audit(ann.read(file), LENIENT)
    assert found.repaired.findings.rows["mask"].tolist() == [2, 3]
    assert found.table() == {"mask": {"keep": 2}, "area": {"repair": 2}, "bad_mask": {"keep": 1}}
    assert [p.where for p in found.problems] == ["1.png#6"]


def test_a_wrong_area_becomes_that_of_the_mask_and_stays(file, tmp_path):
    first = ann.write(ann.audit(ann.read(file), LENIENT), tmp_path / "fixed.json")
    assert [e["area"] for e in json.loads(first.read_text())["annotations"][4:6]] == [400, 300]
    again = ann.audit(ann.read(first), LENIENT)
    assert "area" not in again.table()
    assert ann.write(again, tmp_path / "twice.json").read_bytes() == first.read_bytes()


def test_a_box_can_take_the_frame_of_its_run_lengths(file, tmp_path):
    policy = Policy(mask="repair", budget=None)
    first = ann.write(ann.audit(ann.read(file), policy), tmp_path / "fixed.json")
    fixed = json.loads(first.read_text())["annotations"]
    assert [entry["bbox"] for entry in fixed[2:4]] == [[60, 20, 20, 30], [14, 20, 20, 30]]
    assert ann.audit(ann.read(first), policy).table() == {"bad_mask": {"keep": 1}}


def test_a_dataset_gives_masks_from_run_lengths(file):
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_mask": True},
        {"type": "PackDetInputs"},
    ]
    data = CocoDataset(str(file), data_prefix={"img": str(file.parent)}, pipeline=pipeline)
    found = data[0]["data_samples"]
    assert found["masks"].shape == (8, 80, 100)
    assert found["masks"].flatten(1).sum(1)[[0, 1, 4, 6, 7]].tolist() == [600, 600, 400, 0, 0]
    assert found["ignore"].tolist() == [False] * 6 + [True, True]

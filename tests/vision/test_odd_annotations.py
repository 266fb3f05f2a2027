"""Annotations as no tool should write them: told, counted and mended, and never a traceback."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from loopwright.cli.data import command
from loopwright.vision import annotations as ann
from loopwright.vision.boxes import repair
from loopwright.vision.files import CocoDataset
from loopwright.vision.policy import AnnotationError, Policy

LENIENT = Policy(budget=None)
IMAGE = {"id": 1, "file_name": "a.png", "width": 100, "height": 80}
CAT = {"id": 1, "name": "cat"}
TINY, LARGE = 5e-324, 1e308
NUMBERS = (
    st.floats() | st.floats(-200, 300) | st.sampled_from([0.0, -0.0, 1e16, LARGE, -LARGE, TINY])
)
BOX_OF_ANY = st.lists(NUMBERS, min_size=4, max_size=4)
BOXES = st.lists(BOX_OF_ANY, max_size=6)


def coco(folder, boxes=((1, 2, 30, 40),), *, images=(IMAGE,), categories=(CAT,), **more):
    entries = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": list(box), **more}
        for i, box in enumerate(boxes)
    ]
    path = folder / "a.json"
    path.write_text(
        json.dumps({"images": images, "categories": categories, "annotations": entries})
    )
    return path


def check(path, *arguments):
    return CliRunner().invoke(command, ["check", str(path), *map(str, arguments)])


def yolo(folder, lines, **files):
    labels = folder / "labels"
    labels.mkdir()
    (labels / "a.txt").write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    for name, data in files.items():
        (labels / f"{name}.txt").write_bytes(data)
    return labels


@pytest.mark.parametrize("action", ["keep", "repair", "drop", "ignore"])
def test_a_policy_for_masks_passes_where_there_are_none(tmp_path, action):
    done = check(coco(tmp_path), "--policy", f"mask={action}", "--fix", tmp_path / "fix.json")
    assert done.exit_code == 0, done.output
    assert ann.read(tmp_path / "fix.json").boxes.tolist() == [[1, 2, 31, 42]]


@pytest.mark.parametrize("where", ["images", "categories"])
def test_half_a_character_in_a_name_does_not_stop_the_report(tmp_path, where):
    odd = {"images": [{**IMAGE, "file_name": "\ud800.png"}]}
    if where == "categories":
        odd = {"categories": [{**CAT, "name": "\ud800"}]}
    done = check(coco(tmp_path, [[-5, 2, 30, 40]], **odd), "--html", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    assert "?" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_half_a_character_in_run_lengths_is_a_mask_that_cannot_be_read(tmp_path):
    mask = {"size": [80, 100], "counts": "\ud800"}
    done = ann.audit(ann.read(coco(tmp_path, segmentation=mask)))
    assert done.table() == {"bad_mask": {"keep": 1}}


def test_the_first_image_that_can_be_read_is_the_one_that_is_written(tmp_path):
    path = coco(tmp_path, images=[{"id": 1}, IMAGE])
    found = ann.audit(ann.read(path), LENIENT)
    assert found.table() == {"bad_entry": {"drop": 1}}
    fixed = ann.write(found, tmp_path / "fixed.json")
    assert json.loads(fixed.read_text())["images"] == [IMAGE]
    assert ann.audit(ann.read(fixed)).table() == {}


def test_two_categories_of_one_name_count_and_train_together(tmp_path):
    path = coco(
        tmp_path, [[1, 2, 30, 40], [5, 5, 9, 9]], categories=[CAT, {"id": 2, "name": "cat"}]
    )
    data = json.loads(path.read_text())
    data["annotations"][1]["category_id"] = 2
    path.write_text(json.dumps(data))
    found = ann.audit(ann.read(path))
    assert found.table()["duplicate_name"] == {"keep": 1}
    assert found.class_counts() == {"cat": (2, 2)}
    chosen = CocoDataset(str(path), metainfo={"classes": ("cat",)}, broken_images="keep")
    assert [i["bbox_label"] for i in chosen.get_data_info(0)["instances"]] == [0, 0]


def test_a_file_name_too_long_for_the_disk_is_a_missing_image(tmp_path):
    long = {**IMAGE, "file_name": "a" * 5000}
    path = coco(tmp_path, images=[long])
    found = ann.audit(ann.read(path), images=tmp_path)
    assert [p.cause for p in found.problems] == ["missing_image"]
    with pytest.raises(AnnotationError, match="no such file"):
        CocoDataset(str(path), data_prefix={"img": str(tmp_path)}).full_init()


@pytest.mark.parametrize("width", [None, 100])
def test_coordinates_beyond_any_image_are_not_finite_and_make_no_noise(tmp_path, width):
    rows = [[1, 2, LARGE, LARGE], [-LARGE, 2, 5, 5], [1e16, 1, 5, 5], [1, 2, 3, 4]]
    far = [[LARGE, 2, 30, 2, 30, -LARGE]]
    path = coco(tmp_path, rows, images=[{**IMAGE, "width": width}], segmentation=far, area=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = ("--fix", tmp_path / "fix.json", "--html", tmp_path / "r.html")
        done = check(path, "--budget", 1, "--json", tmp_path / "r.json", *outputs)
    assert done.exit_code == 0, (done.output, done.exception)
    table = json.loads((tmp_path / "r.json").read_text())["table"]
    assert table["not_finite"] == {"drop": 3}
    assert table["bad_mask"] == {"keep": 4}
    assert len(ann.read(tmp_path / "fix.json")) == 1


@given(BOXES, st.sampled_from([(100, 60), (np.inf, np.inf), (1e-5, 3)]), st.data())
def test_any_numbers_at_all_are_repaired_once_and_without_noise(boxes, size, data):
    count = len(boxes)
    numbers = st.lists(NUMBERS, min_size=count, max_size=count)
    areas, mask_areas = data.draw(numbers), np.array(data.draw(numbers))
    frames = np.array(data.draw(st.lists(BOX_OF_ANY, min_size=count, max_size=count)))
    frames = frames.reshape(-1, 4)
    policy = Policy(mask=data.draw(st.sampled_from(["keep", "repair"])), min_size=0, budget=None)
    with np.errstate(all="raise", under="ignore"):
        once = repair(boxes, size, policy, area=areas, extent=frames, mask_area=mask_areas)
        kept = once.index
        more = {"area": once.area, "extent": frames[kept], "mask_area": mask_areas[kept]}
        twice = repair(once.boxes, size, policy, **more)
    assert twice.boxes.tobytes() == once.boxes.tobytes()
    assert not set(twice.findings.counts()) - {"mask"}
    assert len(kept) + once.findings.dropped == count


def test_no_boxes_at_all_have_no_masks_either():
    done = repair([], (10, 10), area=[], extent=[], mask_area=[])
    assert done.boxes.shape == (0, 4)


def test_the_mark_that_starts_a_file_is_no_part_of_its_first_line(tmp_path):
    mark = b"\xef\xbb\xbf"
    labels = yolo(tmp_path, mark + b"0 .5 .5 .2 .2\n1 .3 .3 .1 .1\n", classes=mark + b"cat\ndog")
    found = ann.audit(ann.read(labels))
    assert found.table() == {}
    assert found.class_counts() == {"cat": (1, 1), "dog": (1, 1)}
    fixed = ann.write(found, tmp_path / "fixed")
    assert len(ann.read(fixed)) == 2


@pytest.mark.parametrize(("word", "label"), [("1.0", 1), ("1", 1), ("1.5", None), ("1e9", None)])
def test_a_yolo_class_is_a_whole_number_of_a_size_that_can_be(tmp_path, word, label):
    found = ann.read(yolo(tmp_path, f"{word} .5 .5 .2 .2\n"))
    assert found.labels.tolist() == ([] if label is None else [label])
    assert [p.cause for p in found.problems] == (["bad_entry"] if label is None else [])


@pytest.mark.parametrize("word", ["1000000000", "9" * 30, "nan", "-1"])
def test_a_yolo_class_beyond_all_names_is_no_class(tmp_path, word):
    assert [p.cause for p in ann.read(yolo(tmp_path, f"{word} .5 .5 .2 .2\n")).problems] == [
        "bad_entry"
    ]


def test_class_names_that_are_no_text_are_told(tmp_path):
    done = check(yolo(tmp_path, "0 .5 .5 .2 .2\n", classes=b"caf\xe9\n"))
    assert done.exit_code == 1
    assert "classes.txt is not in UTF-8" in done.output


def test_a_picture_that_says_it_is_enormous_does_not_stop_yolo(tmp_path, monkeypatch):
    from PIL import Image

    labels = yolo(tmp_path, "0 .5 .5 .2 .2\n")
    (tmp_path / "images").mkdir()
    Image.new("L", (64, 64)).save(tmp_path / "images" / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 64 x 64 is a bomb then
    found = ann.audit(ann.read(labels), images=tmp_path / "images")
    assert len(found.annotations) == 1


def test_endings_in_capitals_are_read(tmp_path):
    (tmp_path / "A.TXT").write_text("0 .5 .5 .2 .2\n")
    assert len(ann.read(tmp_path)) == 1


BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"<annotation><object>{BOX}</object></annotation>", "without a name"),
        (f"<annotation><object><name> </name>{BOX}</object></annotation>", "without a name"),
        ("<html/>", "root is <html>"),
        (f"<annotation xmlns='http://x'><object>{BOX}</object></annotation>", "VOC's is"),
    ],
)
def test_what_is_no_voc_object_is_told(tmp_path, text, said):
    (tmp_path / "A.XML").write_text(text)
    found = ann.read(tmp_path)
    assert [p.detail for p in found.problems if p.cause == "bad_entry" and said in p.detail]
    assert list(found.classes) == []


def test_a_fix_of_nothing_readable_is_an_empty_folder_as_said(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.xml").write_text("<annotation>")
    done = check(tmp_path / "in", "--fix", tmp_path / "out", "--budget", 1)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out").is_dir()


@pytest.mark.parametrize(("turn", "told"), [(1, (40, 30)), (6, (30, 40))])
def test_images_of_another_size_than_annotated_are_warned_of(tmp_path, caplog, turn, told):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)

    def loaded(width, height):
        caplog.clear()
        image = {"id": 1, "file_name": "a.jpg", "width": width, "height": height}
        path = coco(tmp_path, [[1, 2, 20, 20]], images=[image])
        CocoDataset(str(path), data_prefix={"img": str(tmp_path)})
        return caplog.text

    assert loaded(*told) == ""
    assert "1 of 1 images have another size than annotated" in loaded(told[1], told[0])


def test_a_terminal_that_does_not_know_the_characters_of_a_name_shows_escapes(tmp_path):
    named = [{**IMAGE, "file_name": "漢é.png"}]
    path = coco(tmp_path, [[-5, 2, 30, 40]], images=named, categories=[{"id": 1, "name": "猫"}])
    done = subprocess.run(
        [sys.executable, "-m", "loopwright.cli.main", "data", "check", str(path)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert rb"\u732b" in done.stdout

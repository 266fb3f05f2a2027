"""Whole files: each fault counted, format mistakes told from bad boxes, nothing overwritten."""

import json
import os

import numpy as np
import pytest

from loopwright.vision import annotations as ann
from loopwright.vision.objects import take
from loopwright.vision.policy import AnnotationError, Policy

LENIENT = Policy(budget=None)


@pytest.fixture(scope="module")
def data(faulty, tmp_path_factory):
    return faulty.dataset(tmp_path_factory.mktemp("faulty"))


@pytest.fixture(scope="module")
def found(data):
    return ann.audit(ann.read(data[0]), LENIENT, images=data[1], classes=["cat", "dogs"])


def coco(folder, boxes, *, size=(100, 80), name="a.json", **more):
    data = {
        "images": [{"id": 1, "file_name": "1.png", "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": list(map(float, b)), **more}
            for i, b in enumerate(boxes)
        ],
    }
    path = folder / name
    path.write_text(json.dumps(data))
    return path


def good_xywh(count=200, size=(100, 80), seed=0):
    rng = np.random.RandomState(seed)
    corner = rng.uniform(0, 0.7, (count, 2)) * size
    return np.concatenate([corner, rng.uniform(2, 20, (count, 2))], 1)


def test_every_fault_is_counted_exactly(found, faulty):
    assert found.table() == faulty.WANTED


def test_what_is_dropped_adds_up(found, faulty):
    assert len(found.annotations) == len(faulty.annotations()) - 12
    assert len(found.repaired.index) + found.repaired.findings.dropped == len(found.annotations)


def test_problems_name_file_and_id(found):
    where = {p.cause: (p.where, p.detail) for p in found.problems}
    assert where["wrong_size"][0] == "036.png"
    assert where["wrong_size"][1] == "stated 640 x 80, is 100 x 80"
    assert where["unmatched_class"] == ("'dogs'", "nearest is 'dog'")
    assert "category_id [1]" in where["unknown_category"][1]


def test_the_size_of_the_file_counts_where_the_stated_one_is_wrong(found):
    sizes = {e.file_name: (e.width, e.height) for e in found.annotations.images}
    assert sizes["035.png"] == sizes["036.png"] == sizes["037.png"] == (100, 80)


def test_the_worst_images_come_first_with_their_objects(found):
    worst = found.worst(3)
    assert len(worst) == 3
    assert len(worst[0][1]) >= len(worst[1][1]) >= len(worst[2][1])
    row, causes = worst[0][1][0]
    assert causes
    assert found.annotations.name(row).startswith(f"{worst[0][0] + 1:03}.png#")


def test_class_counts_before_and_after(found):
    counts = found.class_counts()
    assert counts["bird"] == (0, 0)
    assert sum(before for before, _ in counts.values()) == len(found.annotations)
    assert sum(after for _, after in counts.values()) == len(found.repaired.index)


def test_the_repaired_file_is_clean_and_repairing_it_again_changes_nothing(found, data, tmp_path):
    before = data[0].read_bytes()
    first = ann.write(found, tmp_path / "fixed.json")
    again = ann.audit(ann.read(first), LENIENT)
    assert not again.repaired.findings.counts().keys() - {"mask"}
    assert {p.cause for p in again.problems} == {"unused_class", "duplicate_image"}
    second = ann.write(again, tmp_path / "twice.json")
    assert second.read_bytes() == first.read_bytes()
    assert data[0].read_bytes() == before


def test_entries_without_a_finding_are_written_as_they_were(found, faulty, tmp_path):
    fixed = json.loads(ann.write(found, tmp_path / "fixed.json").read_text())
    assert fixed["info"] == {"year": 2024}
    assert fixed["annotations"][: faulty.CLEAN] == [faulty.clean(n) for n in range(faulty.CLEAN)]
    ids = [entry["id"] for entry in fixed["annotations"]]
    assert len(set(ids)) == len(ids)
    turned = next(e for e in fixed["annotations"] if e["id"] == 502)
    assert turned["bbox"] == [30, 20, 10, 8]
    assert turned["area"] == 80


@pytest.mark.parametrize("out", ["annotations.json", "../{}/annotations.json", "link.json"])
def test_the_input_is_never_overwritten(tmp_path, out):
    path = coco(tmp_path, [[40, 20, -10, 8]], name="annotations.json")
    os.link(path, tmp_path / "link.json")
    done = ann.audit(ann.read(path), LENIENT)
    with pytest.raises(AnnotationError, match=r"input|overwrite"):
        ann.write(done, tmp_path / out.format(tmp_path.name))


def test_an_image_without_a_size_keeps_its_boxes(tmp_path):
    path = coco(tmp_path, [[5, 5, 5000, 5], [-9, 5, 4, 4]], size=(0, 0))
    done = ann.audit(ann.read(path), LENIENT)
    assert done.table() == {"outside": {"drop": 1}, "bad_size": {"keep": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable as json"),
        ("[1]", "holds a list"),
        ('{"images": []}', "'annotations' must be a list, got nothing"),
        ('{"images": [], "annotations": {}, "categories": []}', "got dict"),
        ("[" * 100_000, "not readable"),
    ],
)
def test_what_is_no_coco_file_says_why(tmp_path, text, said):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=said):
        ann.read(path)


def test_a_wrong_name_gives_the_nearest(tmp_path):
    coco(tmp_path, [], name="train.json")
    with pytest.raises(AnnotationError, match=r"did you mean 'train.json'"):
        ann.read(tmp_path / "trian.json")


def suspicions(path, **how):
    return [s.kind for s in ann.audit(ann.read(path, **how), LENIENT).suspicions]


def test_good_boxes_are_not_suspected(tmp_path):
    assert suspicions(coco(tmp_path, good_xywh())) == []


def test_a_few_bad_boxes_are_bad_boxes_and_no_format(tmp_path):
    boxes = good_xywh()
    boxes[:9, 2] *= -1
    assert suspicions(coco(tmp_path, boxes)) == []


def test_corners_stored_as_corner_and_size_are_told(tmp_path):
    boxes = good_xywh()
    boxes[:, 2:] += boxes[:, :2]
    path = coco(tmp_path, boxes)
    assert suspicions(path) == ["xyxy as xywh"]
    with pytest.raises(AnnotationError, match=r"format looks wrong: .*inside read as xyxy"):
        ann.audit(ann.read(path), LENIENT).check()
    ann.audit(ann.read(path), Policy(budget=None, suspicion="warn")).check()


def test_shares_stored_as_pixels_are_told(tmp_path):
    assert suspicions(coco(tmp_path, good_xywh() / 100)) == ["shares as pixels"]


def test_a_swapped_image_size_is_told(tmp_path):
    boxes = good_xywh(size=(200, 50))
    path = coco(tmp_path, boxes, size=(60, 220))
    assert suspicions(path) == ["width and height swapped"]


def test_pixels_counted_from_one_are_a_hint(tmp_path):
    boxes = good_xywh().round() + np.array([1, 1, 0, 0])
    boxes[:5, 0] = 1
    boxes[5:9, 2] = 100 - boxes[5:9, 0]
    done = ann.audit(ann.read(coco(tmp_path, boxes)), LENIENT)
    assert [(s.kind, s.hint) for s in done.suspicions] == [("pixels from 1 as from 0", True)]
    done.check()


def test_the_budget_stops(tmp_path):
    path = coco(tmp_path, [*good_xywh(100), [5, 5, 0, 5], [5, 5, 5, 0]])
    with pytest.raises(AnnotationError, match="2 of 102 boxes would be dropped"):
        ann.audit(ann.read(path)).check()


def test_what_cannot_be_read_counts_towards_the_budget(tmp_path):
    path = coco(tmp_path, good_xywh(100))
    data = json.loads(path.read_text())
    data["annotations"] += [{"id": 500}, {"id": 501, "image_id": 9, "bbox": [1, 2, 3, 4]}]
    path.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match=r"2 of 102 .*1 bad_entry, 1 unknown_image"):
        ann.audit(ann.read(path)).check()


VOC = """<annotation><filename>{name}.jpg</filename>
<size><width>100</width><height>80</height><depth>3</depth></size>{objects}</annotation>"""
OBJECT = """<object><name>{}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>
<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


@pytest.fixture
def voc(tmp_path):
    folder = tmp_path / "voc"
    folder.mkdir()
    good = OBJECT.format("cat", 11, 21, 30, 40)
    bad = [("dog", 30, 40, 11, 21), ("dog", 90, 1, 120, 20), ("cat", 101, 1, 120, 20)]
    odd = OBJECT.format("cat", "x", 1, 2, 3)
    (folder / "a.xml").write_text(VOC.format(name="a", objects=good))
    (folder / "b.xml").write_text(
        VOC.format(name="b", objects=odd + "".join(OBJECT.format(*b) for b in bad))
    )
    (folder / "c.xml").write_text("<annotation>")
    (folder / "d.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')
    return folder


def test_voc_counts_pixels_from_one_and_reversed_corners_are_the_same_box(voc):
    read = ann.read(voc)
    done = ann.audit(read, LENIENT)
    assert read.classes == ["cat", "dog"]
    assert done.repaired.boxes.tolist() == [[10, 20, 30, 40], [10, 20, 30, 40], [89, 0, 100, 20]]
    assert done.table() == {
        "reversed": {"repair": 1},
        "outside": {"drop": 1},
        "partly_outside": {"clip": 1},
        "bad_entry": {"drop": 3},
    }
    assert "counted from 1" in read.notes[0]


def test_voc_is_written_back_clean_and_twice_the_same(voc, tmp_path):
    out = ann.write(ann.audit(ann.read(voc), LENIENT), tmp_path / "fixed")
    assert (out / "a.xml").read_bytes() == (voc / "a.xml").read_bytes()
    again = ann.audit(ann.read(out), LENIENT)
    assert again.table() == {}
    assert again.annotations.raw.tolist()[1:] == [[11, 21, 30, 40], [90, 1, 100, 20]]
    twice = ann.write(again, tmp_path / "twice")
    assert all((twice / f.name).read_bytes() == f.read_bytes() for f in out.iterdir())


def test_voc_is_not_written_into_its_own_folder(voc):
    with pytest.raises(AnnotationError, match="mix with the input"):
        ann.write(ann.audit(ann.read(voc), LENIENT), voc / "fixed")


@pytest.fixture
def yolo(tmp_path):
    from PIL import Image

    labels, pictures = tmp_path / "labels", tmp_path / "images"
    labels.mkdir()
    pictures.mkdir()
    Image.new("RGB", (100, 80)).save(pictures / "a.png")
    (labels / "classes.txt").write_text("cat\ndog\n")
    (labels / "a.txt").write_text(
        "0 0.5 0.5 0.2 0.25\n1 0.9 0.5 0.4 0.25\n0 0.5 0.5 -0.2 0.25\n\n"
        "1 0.1 0.1 0.3 0.1 0.3 1.2\n0 0.5 0.5 0.2\nx 0.5 0.5 0.2 0.2\n"
    )
    return labels


def test_yolo_shares_become_pixels_of_the_image(yolo):
    done = ann.audit(ann.read(yolo), LENIENT)
    assert np.allclose(done.repaired.boxes, [[40, 30, 60, 50], [70, 30, 100, 50], [10, 8, 30, 80]])
    assert done.table() == {
        "reversed": {"repair": 1},
        "partly_outside": {"clip": 2},
        "duplicate": {"drop": 1},
        "bad_entry": {"drop": 2},
    }


def test_yolo_is_written_back_clean_and_twice_the_same(yolo, tmp_path):
    out = ann.write(ann.audit(ann.read(yolo), LENIENT), tmp_path / "fixed")
    lines = (out / "a.txt").read_text().splitlines()
    assert lines == ["0 0.5 0.5 0.2 0.25", "1 0.85 0.5 0.3 0.25", "1 0.1 0.1 0.3 0.1 0.3 1"]
    again = ann.audit(ann.read(out, images=yolo.parent / "images"), LENIENT)
    assert again.table() == {}
    twice = ann.write(again, tmp_path / "twice")
    assert (twice / "a.txt").read_bytes() == (out / "a.txt").read_bytes()


def test_a_yolo_class_without_a_name_is_no_class(yolo, tmp_path):
    (yolo / "a.txt").write_text("0 0.5 0.5 0.2 0.25\n7 0.5 0.5 0.2 0.25\n")
    found = ann.audit(ann.read(yolo), LENIENT)
    assert found.table() == {"unknown_category": {"drop": 1}, "unused_class": {"keep": 1}}
    assert found.problems[0][1:] == ("a.txt:2", "class 7 of 2")
    fixed = ann.write(found, tmp_path / "fixed")
    assert (fixed / "a.txt").read_text() == "0 0.5 0.5 0.2 0.25\n"
    assert ann.read(fixed).classes == ["cat", "dog"]


def test_yolo_classes_are_numbers_where_no_names_are_given(yolo):
    (yolo / "classes.txt").unlink()
    (yolo / "a.txt").write_text("0 0.5 0.5 0.2 0.25\n2 0.5 0.5 0.2 0.25\n")
    assert ann.read(yolo).classes == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("names: [cat, dog]", ["cat", "dog"]),
        ("names: {0: cat, 1: dog}", ["cat", "dog"]),
        ("names: {2: dog, 0: cat}", ["cat", "1", "dog"]),
    ],
)
def test_yolo_names_come_from_data_yaml(yolo, text, wanted):
    (yolo / "classes.txt").unlink()
    (yolo.parent / "data.yaml").write_text(text)
    assert ann.read(yolo).classes == wanted


@pytest.mark.parametrize(
    "text", ["names: [[a]]", "names: 3", "names: [", "a: &a [x]\nnames: [*a]", "names: {a: 1}"]
)
def test_names_that_are_none_are_refused(yolo, text):
    (yolo / "classes.txt").unlink()
    (yolo.parent / "data.yaml").write_text(text)
    with pytest.raises(AnnotationError, match=r"data.yaml"):
        ann.read(yolo)


def test_an_xml_file_that_hides_its_entities_is_refused(voc):
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    (voc / "e.xml").write_bytes(text.encode("utf-16"))
    problems = [p.where for p in ann.read(voc).problems if p.cause == "bad_entry"]
    assert "e.xml" in problems


def test_yolo_pixels_are_told_from_shares(tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    rows = good_xywh(30)
    (labels / "a.txt").write_text("".join(f"0 {a} {b} {c} {d}\n" for a, b, c, d in rows))
    assert suspicions(labels) == ["pixels as shares"]


def test_fields_of_an_object_are_filtered_together():
    fields = {
        "labels": np.array([1, 2, 3]),
        "masks": np.zeros((3, 4, 4)),
        "keypoints": np.zeros((3, 17, 3)),
        "ids": ["a", "b", "c"],
    }
    left = take(fields, [2, 0])
    assert left["ids"] == ["c", "a"]
    assert left["masks"].shape == (2, 4, 4)
    with pytest.raises(ValueError, match="not equally long"):
        take({**fields, "ids": ["a"]}, [0])

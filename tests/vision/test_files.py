"""Datasets of files: repaired and counted when loaded, broken images found before any step."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from loopwright.registry import DATASETS
from loopwright.vision.files import BoxDataset, CocoDataset, SegFolder, VOCDataset
from loopwright.vision.policy import AnnotationError

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "PackDetInputs"},
]


@pytest.fixture
def folder(tmp_path):
    """100 images, each with one good box; the first has a reversed one too."""
    images = tmp_path / "images"
    images.mkdir()
    entries, boxes = [], []
    for number in range(100):
        noise = np.random.RandomState(number).randint(0, 255, (16, 24, 3), np.uint8)
        Image.fromarray(noise).save(images / f"{number:03}.png")
        entries.append({"id": number, "file_name": f"{number:03}.png", "width": 24, "height": 16})
        boxes.append({"id": number, "image_id": number, "category_id": 7, "bbox": [2, 3, 10, 5]})
    more = {"segmentation": [[10, 5, 20, 5, 20, 13]], "keypoints": [11, 6, 2], "iscrowd": 1}
    boxes.append({"id": 200, "image_id": 0, "category_id": 9, "bbox": [20, 5, -10, 8], **more})
    categories = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]
    data = {"images": entries, "categories": categories, "annotations": boxes}
    (tmp_path / "a.json").write_text(json.dumps(data))
    return tmp_path


def build(folder, **more):
    return CocoDataset("a.json", data_root=str(folder), data_prefix={"img": "images/"}, **more)


def test_a_reversed_box_is_repaired_and_counted(folder):
    data = build(folder)
    first = data.get_data_info(0)
    assert first["instances"][1]["bbox"] == [10, 5, 20, 13]
    assert first["instances"][1]["ignore_flag"] == 1
    assert first["instances"][1]["keypoints"] == [11, 6, 2]
    assert data.findings == {"reversed": {"repair": 1}}
    assert data.metainfo["classes"] == ("cat", "dog")


def test_a_pipeline_gives_boxes_and_labels(folder):
    item = build(folder, pipeline=PIPELINE)[0]
    assert item["inputs"].shape == (3, 16, 24)
    assert item["data_samples"]["boxes"].tolist() == [[2, 3, 12, 8], [10, 5, 20, 13]]
    assert item["data_samples"]["labels"].tolist() == [0, 1]
    assert item["data_samples"]["ignore"].tolist() == [False, True]


def test_the_raw_boxes_can_be_had_for_an_evaluation(folder):
    data = build(folder, repair=False, policy={"reversed": "error"})
    assert data.get_data_info(0)["instances"][1]["bbox"] == [20, 5, 10, 13]
    assert data.findings == {}


def test_classes_are_chosen_and_ordered_by_the_config(folder):
    data = build(folder, metainfo={"classes": ("dog",)}, filter_cfg={"filter_empty_gt": True})
    assert len(data) == 1
    assert data.get_cat_ids(0) == [0]
    with pytest.raises(AnnotationError, match=r"no 'dogs' .* did you mean 'dog'"):
        build(folder, metainfo={"classes": ("dogs",)})


def test_a_policy_of_error_stops_with_the_box(folder):
    with pytest.raises(AnnotationError, match="1 boxes are reversed"):
        build(folder, policy={"reversed": "error"})


def test_a_policy_that_drops_too_many_stops(folder):
    with pytest.raises(AnnotationError, match="budget"):
        build(folder, policy={"reversed": "drop", "budget": 0.005})
    assert len(build(folder, policy={"reversed": "drop"}).get_data_info(0)["instances"]) == 1


def spoil(folder):
    whole = (folder / "images" / "042.png").read_bytes()
    (folder / "images" / "042.png").write_bytes(whole[:100])


def test_a_broken_image_stops_before_the_first_step(folder):
    spoil(folder)
    with pytest.raises(
        AnnotationError, match=r"1 of 100 images .*042.png: .*(cut short|truncated)"
    ):
        build(folder)


def test_a_broken_image_is_left_out_by_policy_and_named_once(folder, caplog):
    spoil(folder)
    (folder / "images" / "050.png").unlink()
    with caplog.at_level(logging.WARNING):
        data = build(folder, broken_images="drop")
    assert len(data) == 98
    told = [r.getMessage() for r in caplog.records if "broken image" in r.getMessage()]
    assert len(told) == 2
    assert "042.png" in told[0]
    assert "050.png" in told[1]


def test_a_file_name_that_leads_out_is_refused(folder):
    text = (folder / "a.json").read_text().replace("042.png", "../../secret.png")
    (folder / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"leads out.*outside_files=True"):
        build(folder)
    told = build(folder, outside_files=True, broken_images="keep").get_data_info(42)
    assert told["img_path"] == str((folder / "../secret.png").resolve())


def moved_behind_links(folder):
    """Each image in a store elsewhere under another name, with a link in its place."""
    store = folder / "store"
    store.mkdir()
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        path.rename(store / f"{number:x}")
        path.symlink_to(store / f"{number:x}")
    return store


def test_images_that_are_links_into_a_store_are_read(folder):
    moved_behind_links(folder)
    assert build(folder, pipeline=PIPELINE)[42]["inputs"].shape == (3, 16, 24)


def test_a_link_to_a_file_that_was_not_fetched_is_told_as_one(folder):
    (moved_behind_links(folder) / "2a").unlink()
    with pytest.raises(AnnotationError, match=r"042.png: a link to .*2a, where there is no file"):
        build(folder)


@pytest.mark.parametrize("name", ["CocoDataset", "VOCDataset", "XMLDataset", "YoloDataset"])
def test_the_names_of_configs_are_there(name):
    assert issubclass(DATASETS.get(name), BoxDataset)


def test_voc_files_give_the_same_samples(tmp_path):
    Image.new("RGB", (24, 16)).save(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.jpg</filename><size><width>24</width><height>16</height></size>"
        "<object><name>cat</name><bndbox><xmin>12</xmin><ymin>4</ymin><xmax>3</xmax><ymax>8</ymax>"
        "</bndbox></object></annotation>"
    )
    data = VOCDataset(str(tmp_path), data_prefix={"img_path": str(tmp_path)})
    assert data.get_data_info(0)["instances"] == [
        {"bbox": [2, 3, 12, 8], "bbox_label": 0, "ignore_flag": 0}
    ]


def test_a_folder_of_masks_is_paired_with_images_by_name(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(3):
        Image.new("RGB", (6, 4)).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(np.full((4, 6), number, np.uint8)).save(
            tmp_path / "masks" / f"{number}.png"
        )
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_seg": True},
        {"type": "PackSegInputs"},
    ]
    how = {
        "data_root": str(tmp_path),
        "data_prefix": {"img_path": "images", "seg_map_path": "masks"},
        "img_suffix": ".png",
    }
    data = SegFolder(pipeline=pipeline, **how)
    assert [int(data[i]["data_samples"].max()) for i in range(3)] == [0, 1, 2]
    (tmp_path / "masks" / "1.png").unlink()
    with pytest.raises(AnnotationError, match=r"1.png: there is no such file"):
        SegFolder(**how)
    assert len(SegFolder(broken_images="drop", **how)) == 2

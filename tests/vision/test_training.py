"""Training on annotated files: broken images by policy, the same weights for any worker count."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loopwright.data import build_dataloader
from loopwright.runner import Runner
from loopwright.vision.policy import AnnotationError

COUNT, SIDE = 100, 32
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PhotoMetricDistortion"},
    {"type": "Normalize", "mean": [128.0] * 3, "std": [64.0] * 3, "to_rgb": True},
    {"type": "PackDetInputs"},
]
XML = (
    "<annotation><filename>{0:03}.png</filename><size><width>32</width><height>32</height></size>"
    "<object><name>thing</name><bndbox><xmin>{1}</xmin><ymin>9</ymin><xmax>{2}</xmax>"
    "<ymax>24</ymax></bndbox></object></annotation>"
)


def left(number):
    return 4 + number % 8


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """100 images, each with a box that is reversed in COCO and VOC, in three formats."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("images", "voc", "labels"):
        (folder / name).mkdir()
    entries, boxes = [], []
    for n in range(COUNT):
        noise = np.random.RandomState(n).randint(0, 255, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{n:03}.png")
        entries.append({"id": n, "file_name": f"{n:03}.png", "width": SIDE, "height": SIDE})
        box = [left(n) + 16, 8, -16, 16]
        boxes.append({"id": n, "image_id": n, "category_id": 1, "bbox": box})
        (folder / "voc" / f"{n:03}.xml").write_text(XML.format(n, left(n) + 16, left(n) + 1))
        middle = (left(n) + 8) / SIDE
        (folder / "labels" / f"{n:03}.txt").write_text(f"0 {middle} 0.5 0.5 0.5\n")
    data = {"images": entries, "categories": [{"id": 1, "name": "thing"}], "annotations": boxes}
    (folder / "a.json").write_text(json.dumps(data))
    return folder


FORMATS = {"CocoDataset": "a.json", "VOCDataset": "voc", "YoloDataset": "labels"}


def loader(folder, kind, workers=0, **more):
    files = {"ann_file": FORMATS[kind], "data_root": str(folder), "data_prefix": {"img": "images"}}
    return {
        "batch_size": 20,
        "num_workers": workers,
        "dataset": {"type": kind, "pipeline": PIPELINE, **files, **more},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "pseudo_collate"},
    }


def runner(folder, work_dir, kind="CocoDataset", workers=0, **more):
    head = {"type": "RTMDetSepBNHead", "num_classes": 1, "in_channels": 8, "feat_channels": 8}
    return Runner.from_cfg(
        {
            "model": {
                "type": "RTMDet",
                "backbone": {"type": "CSPNeXt", "widths": (8, 8, 8), "blocks": 1, "out_stages": 2},
                "neck": {"type": "CSPNeXtPAFPN", "in_channels": (8, 8), "out_channels": 8},
                "bbox_head": {**head, "stacked_convs": 1, "strides": (4, 8)},
            },
            "work_dir": str(work_dir),
            "train_dataloader": loader(folder, kind, workers, **more),
            "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 1},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
            "default_hooks": {"checkpoint": None},
            "randomness": {"seed": 3},
        }
    )


def test_the_weights_are_the_same_for_0_1_2_and_4_workers_that_read_and_augment(whole, tmp_path):
    trained = {}
    for workers in (0, 1, 2, 4):
        run = runner(whole, tmp_path / str(workers), workers=workers)
        run.train()
        trained[workers] = {name: value.clone() for name, value in run.model.state_dict().items()}
    for workers in (1, 2, 4):
        for name, value in trained[0].items():
            assert torch.equal(value, trained[workers][name]), (workers, name)


def first_batches(folder, kind, workers, epoch):
    made = build_dataloader(loader(folder, kind, workers), seed=5)
    made.set_epoch(epoch)
    batches = list(zip(range(2), made))
    inputs = torch.stack([x for _, batch in batches for x in batch["inputs"]])
    boxes = torch.cat([b for _, batch in batches for b in batch["data_samples"]["boxes"]])
    return inputs, boxes


@pytest.mark.parametrize("kind", FORMATS)
def test_augmented_samples_of_each_format_are_the_same_from_workers(whole, kind):
    here, there = (first_batches(whole, kind, workers, epoch=1) for workers in (0, 2))
    assert len(here[1]) == 40
    assert all(map(torch.equal, here, there))


def test_the_three_formats_hold_the_same_boxes_and_augmentation_is_on(whole):
    found = [first_batches(whole, kind, 0, epoch=1) for kind in FORMATS]
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][0], found[2][0])
    assert torch.equal(found[0][1], found[1][1])
    assert torch.allclose(found[0][1], found[2][1], atol=1e-4)
    other = first_batches(whole, "CocoDataset", 0, epoch=2)
    assert not torch.equal(found[0][0].sort(0).values, other[0].sort(0).values)


@pytest.fixture
def spoilt(whole, tmp_path):
    """The same with one image in a hundred cut short."""
    folder = Path(shutil.copytree(whole, tmp_path / "spoilt"))
    bad = folder / "images" / "042.png"
    bad.write_bytes(bad.read_bytes()[:500])
    return folder


@pytest.mark.parametrize("kind", FORMATS)
def test_one_percent_of_broken_images_stops_before_the_first_step(spoilt, tmp_path, kind):
    with pytest.raises(AnnotationError, match=r"1 of 100 images are missing or broken: .*042.png"):
        runner(spoilt, tmp_path / "run", kind).train()


@pytest.mark.parametrize("kind", FORMATS)
def test_by_policy_training_goes_on_and_names_it_once(spoilt, tmp_path, kind, caplog):
    with caplog.at_level(logging.WARNING):
        run = runner(spoilt, tmp_path / "run", kind, workers=2, broken_images="drop")
        run.train()
    assert run.iter == 5
    assert len(run.train_dataloader.dataset) == 99
    assert sum("042.png" in record.getMessage() for record in caplog.records) == 1

"""Images and objects that are rare but real: hairlines, alpha, keypoints some objects lack."""

import numpy as np
import pytest
from PIL import Image

from loopwright.data import Compose
from loopwright.data.faults import DataError
from loopwright.data.transforms.load import read_image
from loopwright.registry import TRANSFORMS


def made(**cfg):
    return TRANSFORMS.build(cfg)


def blank(height, width, **more):
    return {"img": np.zeros((height, width, 3), np.uint8), "img_shape": (height, width), **more}


@pytest.mark.parametrize("shape", [(1000, 2), (2, 1000), (1, 1)])
@pytest.mark.parametrize(
    "cfg",
    [
        {"type": "Resize", "scale": (100, 100), "keep_ratio": True},
        {"type": "Resize", "scale_factor": 0.1},
        {"type": "ResizeEdge", "scale": 10, "edge": "long"},
        {"type": "RandomResize", "scale": (100, 100), "ratio_range": (0.1, 0.2)},
        {"type": "RandomCrop", "crop_size": (0.1, 0.1), "crop_type": "relative"},
    ],
    ids=lambda cfg: cfg["type"],
)
def test_a_hairline_of_an_image_keeps_a_pixel(shape, cfg):
    done = made(**cfg)(blank(*shape))
    assert min(done["img"].shape[:2]) >= 1
    assert done["img_shape"] == done["img"].shape[:2]


def test_alpha_stays_the_last_channel_in_bgr(tmp_path):
    Image.new("RGBA", (2, 1), (10, 20, 30, 40)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "unchanged", "bgr")[0, 0].tolist() == [30, 20, 10, 40]
    Image.new("LA", (2, 1), (10, 40)).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png", "unchanged", "bgr")[0, 0].tolist() == [10, 40]


def instance(box, label, **more):
    return {"bbox": box, "bbox_label": label, **more}


def test_keypoints_go_the_way_of_their_boxes_into_the_batch():
    row = Compose(
        [
            {"type": "LoadAnnotations", "with_keypoints": True},
            {"type": "RandomFlip", "prob": 1.0},
            {"type": "CenterCrop", "crop_size": (20, 10)},
            {"type": "PackDetInputs"},
        ]
    )
    objects = [
        instance([0, 0, 4, 4], 0, keypoints=[1, 1, 2]),
        instance([8, 2, 12, 9], 1, keypoints=[9, 3, 2, 11, 8, 1]),
        instance([7, 4, 9, 9], 2),
    ]
    truth = row(blank(20, 20, instances=objects))["data_samples"]
    assert truth["labels"].tolist() == [1, 2]
    assert truth["boxes"].tolist() == [[3, 2, 7, 9], [6, 4, 8, 9]]
    assert truth["keypoints"].shape == (2, 2, 3)
    assert truth["keypoints"][0].tolist() == [[5, 3, 2], [3, 8, 1]]
    assert truth["keypoints"][1, :, 2].tolist() == [0, 0]


def test_keypoints_that_are_no_triples_are_told():
    load = made(type="LoadAnnotations", with_keypoints=True)
    with pytest.raises(DataError, match="got 2 numbers"):
        load(blank(9, 9, instances=[instance([0, 0, 4, 4], 0, keypoints=[1, 1])]))


def test_a_mosaic_joins_images_with_and_without_keypoints():
    load = made(type="LoadAnnotations", with_keypoints=True)
    one = load(blank(16, 16, instances=[instance([0, 0, 16, 16], 0, keypoints=[1, 1, 2])]))
    none = load(blank(16, 16, instances=[]))
    np.random.seed(0)
    done = made(type="Mosaic", img_scale=(16, 16))({**one, "mix_results": [none, one, none]})
    assert done["gt_keypoints"].shape == (len(done["gt_bboxes"]), 1, 3)
    assert len(done["gt_bboxes"]) >= 1

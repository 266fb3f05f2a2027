"""The end of a pipeline, choices within one, and transforms of other libraries."""

import importlib.util

import numpy as np
import pytest
import torch

from loopwright.data import Compose, DataError
from loopwright.data.transforms import BaseTransform
from loopwright.data.transforms.choose import RandomApply, RandomChoice
from loopwright.data.transforms.pack import (
    Collect,
    ImageToTensor,
    PackDetInputs,
    PackInputs,
    PackSegInputs,
)
from loopwright.registry import TRANSFORMS

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_classification_packs_image_and_label():
    packed = PackInputs()({"img": IMAGE[..., ::-1], "gt_label": 3, "img_path": "a.jpg"})
    assert set(packed) == {"inputs", "data_samples"}
    assert packed["inputs"].shape == (3, 2, 4)
    assert packed["inputs"].is_contiguous()
    assert packed["inputs"][0, 0, 0] == 2
    assert packed["data_samples"] == torch.tensor(3)
    assert set(PackInputs()({"img": IMAGE})) == {"inputs"}
    told = PackInputs(meta_keys=("img_path", "ori_shape"))(
        {"img": IMAGE, "gt_label": 3, "img_path": "a.jpg"}
    )
    assert told["data_samples"] == {"gt_label": torch.tensor(3), "metainfo": {"img_path": "a.jpg"}}


def test_images_become_tensors_in_place_and_some_keys_are_collected():
    results = Compose([ImageToTensor(), Collect(["img", "gt_label"])])(
        {"img": IMAGE, "gt_label": 3, "img_path": "a.jpg"}
    )
    assert set(results) == {"img", "gt_label"}
    assert torch.equal(results["img"], torch.from_numpy(IMAGE).permute(2, 0, 1))


def test_segmentation_packs_the_label_map():
    packed = PackSegInputs()({"img": IMAGE, "gt_seg_map": np.ones((2, 4), np.uint8)})
    assert packed["data_samples"].dtype == torch.int64
    assert packed["data_samples"].shape == (2, 4)


def test_detection_packs_boxes_labels_ignored_and_masks():
    boxes = np.array([[0, 0, 2, 2]], np.float32)
    packed = PackDetInputs()({"img": IMAGE, "gt_bboxes": boxes, "gt_bboxes_labels": np.array([4])})
    truth = packed["data_samples"]
    assert {key: value.tolist() for key, value in truth.items()} == {
        "boxes": [[0, 0, 2, 2]],
        "labels": [4],
        "ignore": [False],
    }
    assert PackDetInputs()({"img": IMAGE})["data_samples"]["boxes"].shape == (0, 4)
    masked = {"img": IMAGE, "gt_bboxes": boxes, "gt_masks": np.ones((1, 2, 4), np.uint8)}
    assert PackDetInputs()(masked)["data_samples"]["masks"].shape == (1, 2, 4)


def test_choices_are_drawn():
    def add(number):
        return lambda results: {**results, "x": results["x"] + number}

    np.random.seed(0)
    applied = [RandomApply(add(1), prob=0.5)({"x": 0})["x"] for _ in range(40)]
    assert 10 < sum(applied) < 30
    chosen = [
        RandomChoice([[add(1)], [add(2), add(2)]], prob=[0.2, 0.8])({"x": 0})["x"]
        for _ in range(40)
    ]
    assert set(chosen) == {1, 4}
    assert chosen.count(4) > chosen.count(1)


def test_a_transform_of_one_s_own_is_registered_and_shown():
    @TRANSFORMS.register_module(name="TestDouble", force=True)
    class TestDouble(BaseTransform):
        def __init__(self, times=2):
            self.times = times

        def transform(self, results):
            return {"x": results["x"] * self.times}

    pipeline = Compose([{"type": "TestDouble", "times": 3}])
    assert pipeline({"x": 2}) == {"x": 6}
    assert "TestDouble(times=3)" in repr(pipeline)


def test_torchvision_s_transforms_go_by_name():
    pytest.importorskip("torchvision", exc_type=Exception)
    cfg = [{"type": "TorchVision/RandomHorizontalFlip", "p": 1.0}]
    boxes = np.array([[0, 0, 1, 2]], np.float32)
    results = Compose(cfg)({"img": IMAGE, "gt_bboxes": boxes})
    np.testing.assert_array_equal(results["img"], IMAGE[:, ::-1])
    assert results["gt_bboxes"].tolist() == [[3, 0, 4, 2]]
    with pytest.raises(DataError, match="did you mean 'RandomCrop'"):
        Compose([{"type": "TorchVision/RandomCrops"}])


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="it is there")
def test_without_torchvision_its_names_say_so():
    with pytest.raises(ImportError, match="needs a torchvision that loads"):
        Compose([{"type": "TorchVision/Resize", "size": 3}])


@pytest.mark.skipif(importlib.util.find_spec("albumentations") is not None, reason="it is there")
def test_without_albumentations_its_name_says_so():
    with pytest.raises(ImportError, match="pip install albumentations"):
        Compose([{"type": "Albu", "transforms": [{"type": "Blur"}]}])

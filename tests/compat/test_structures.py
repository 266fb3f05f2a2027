"""Data elements behave as those of MMEngine 0.10.7 did when asked."""

import numpy as np
import pytest
import torch

from loopwright.compat.structures import BaseDataElement, InstanceData, LabelData, PixelData


def element() -> BaseDataElement:
    return BaseDataElement(
        metainfo={"img_shape": (4, 4), "k": 1}, bboxes=torch.ones(2, 4), scores=torch.ones(2)
    )


def test_data_and_meta_information_are_attributes_and_apart():
    sample = element()
    assert sample.img_shape == (4, 4)
    assert sample.keys() == ["bboxes", "scores"]
    assert sample.metainfo == {"img_shape": (4, 4), "k": 1}
    assert sample.all_keys() == ["img_shape", "k", "bboxes", "scores"]
    assert "scores" in sample
    assert sample.get("nothing", 3) == 3
    with pytest.raises(AttributeError, match="meta information"):
        sample.img_shape = (1, 1)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sample.nothing  # noqa: B018


def test_fields_go_and_elements_are_copied():
    sample = element()
    twin = sample.clone()
    sample.pop("scores")
    del sample.bboxes
    assert sample.keys() == []
    twin.bboxes[0] = 7
    assert twin.keys() == ["bboxes", "scores"]
    assert sample.new(x=1).keys() == ["x"]


def test_tensors_are_moved_and_cast_together():
    sample = element()
    assert sample.to(torch.float16).scores.dtype == torch.float16
    assert isinstance(sample.numpy().scores, np.ndarray)
    assert isinstance(sample.numpy().to_tensor().scores, torch.Tensor)
    assert sample.to_dict()["k"] == 1


def test_instances_are_indexed_together_and_have_one_length():
    boxes = InstanceData(b=torch.ones(3, 4), l=torch.arange(3), names=["x", "y", "z"])
    assert len(boxes) == 3
    assert boxes[0].l.tolist() == [0]
    picked = boxes[torch.tensor([True, False, True])]
    assert (picked.l.tolist(), picked.names) == ([0, 2], ["x", "z"])
    assert boxes[-2:].names == ["y", "z"]
    with pytest.raises(ValueError, match="2 entries, the other fields 3"):
        boxes.x = torch.ones(2)
    with pytest.raises(IndexError):
        boxes[3]


def test_instances_are_joined():
    boxes = InstanceData(l=torch.arange(3), n=np.arange(3), names=["x", "y", "z"])
    both = InstanceData.cat([boxes, boxes[1]])
    assert both.l.tolist() == [0, 1, 2, 1]
    assert both.names == ["x", "y", "z", "y"]
    assert both.n.tolist() == [0, 1, 2, 1]


def test_pixels_have_one_height_and_width():
    maps = PixelData()
    maps.m = torch.ones(4, 5)
    assert maps.shape == (4, 5)
    assert maps.m.shape == (1, 4, 5)
    assert maps[1:3, 2:4].m.shape == (1, 2, 2)
    with pytest.raises(ValueError, match="other fields"):
        maps.other = torch.ones(2, 5)


def test_labels_and_one_hots():
    assert LabelData.onehot_to_label(torch.tensor([0, 1, 1])).tolist() == [1, 2]
    assert LabelData.label_to_onehot(torch.tensor([1, 2]), 4).tolist() == [0, 1, 1, 0]

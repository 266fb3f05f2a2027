from collections import namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.model import BaseDataPreprocessor, ImgDataPreprocessor, stack_batch
from loopwright.model.preprocessor import to_device

SMALL = torch.ones(3, 2, 2, dtype=torch.uint8)
LARGE = torch.arange(45, dtype=torch.uint8).reshape(3, 3, 5)


def test_images_are_turned_normalised_and_padded_as_mmengine_does():
    pre = ImgDataPreprocessor(
        mean=[1, 2, 3], std=[2, 2, 2], bgr_to_rgb=True, pad_size_divisor=4, pad_value=7
    )
    out = pre({"inputs": [LARGE, SMALL], "data_samples": None})["inputs"]
    assert out.shape == (2, 3, 4, 8)
    assert out.dtype == torch.float32
    # Recorded from MMEngine 0.10.7: channels turned first, the padding is not normalised.
    assert out[1, :, 0, 0].tolist() == [0.0, -0.5, -1.0]
    assert out[0, 0, 0].tolist() == [14.5, 15.0, 15.5, 16.0, 16.5, 7.0, 7.0, 7.0]
    assert (out[1, :, 2:] == 7).all()


def test_a_stacked_batch_gives_what_its_images_give():
    pre = ImgDataPreprocessor(mean=[1, 2, 3], std=[2, 2, 2], rgb_to_bgr=True, pad_size_divisor=4)
    stacked = pre({"inputs": torch.stack([LARGE, LARGE])})["inputs"]
    assert torch.equal(stacked, pre({"inputs": [LARGE, LARGE]})["inputs"])


def test_one_mean_serves_all_channels():
    out = ImgDataPreprocessor(mean=[0.5], std=[2])({"inputs": [SMALL]})["inputs"]
    assert (out == 0.25).all()


def test_without_settings_images_become_floats():
    assert ImgDataPreprocessor()({"inputs": [SMALL]})["inputs"].dtype == torch.float32


def test_tuples_keep_their_targets():
    images, targets = ImgDataPreprocessor()(([SMALL], "y"))
    assert (images.shape, targets) == ((1, 3, 2, 2), "y")


def test_the_callers_batch_is_not_changed():
    batch = {"inputs": [SMALL]}
    ImgDataPreprocessor()(batch)
    assert batch == {"inputs": [SMALL]}


def test_nothing_of_it_is_in_the_state_dict():
    assert ImgDataPreprocessor(mean=[1], std=[1]).state_dict() == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mean": [1, 2, 3]}, "go together"),
        ({"std": [1, 2, 3]}, "go together"),
        ({"bgr_to_rgb": True, "rgb_to_bgr": True}, "set one of them"),
        ({"mean": [1], "std": [0]}, "may not be 0"),
    ],
)
def test_settings_that_contradict_each_other_are_errors(settings, said):
    with pytest.raises(ValueError, match=said):
        ImgDataPreprocessor(**settings)


def test_a_mean_for_other_channels_than_the_image_has_is_an_error():
    with pytest.raises(ValueError, match=r"mean has 2 channels.*has 3"):
        ImgDataPreprocessor(mean=[1, 2], std=[1, 2])({"inputs": [SMALL]})


def test_images_of_a_wrong_form_are_described():
    with pytest.raises(TypeError, match=r"got a list of \(2, 2\)"):
        ImgDataPreprocessor()({"inputs": [SMALL[0]]})
    with pytest.raises(KeyError, match="no 'inputs', it has img"):
        ImgDataPreprocessor()({"img": SMALL})


def test_nested_data_moves_with_the_module():
    Point = namedtuple("Point", "x y")
    pre = BaseDataPreprocessor().to("meta")
    moved = pre({"a": [torch.ones(1)], "b": Point(torch.ones(1), "y"), "c": None, "d": 3})
    assert pre.device.type == "meta"
    assert moved["a"][0].is_meta
    assert moved["b"].x.is_meta
    assert (moved["b"].y, moved["c"], moved["d"]) == ("y", None, 3)


def test_what_has_a_to_is_moved_by_it():
    class Sample:
        def to(self, device, non_blocking=False):
            return ("moved", device.type)

    assert to_device([Sample()], torch.device("meta")) == [("moved", "meta")]


def test_a_tensor_that_is_there_already_is_not_copied():
    tensor = torch.ones(1)
    assert BaseDataPreprocessor()({"x": tensor})["x"] is tensor


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_padding_is_below_and_right_and_nothing_is_lost(sizes):
    images = [torch.rand(2, h, w) for h, w in sizes]
    batch = stack_batch(images, pad_size_divisor=4, pad_value=-1)
    assert batch.shape[-2] % 4 == batch.shape[-1] % 4 == 0
    for image, padded in zip(images, batch, strict=True):
        h, w = image.shape[-2:]
        assert torch.equal(padded[:, :h, :w], image)
        assert (padded[:, h:] == -1).all()
        assert (padded[:, :, w:] == -1).all()

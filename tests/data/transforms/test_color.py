"""Transforms of colours alone."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.data.transforms.color import (
    ColorJitter,
    Normalize,
    PhotoMetricDistortion,
    YOLOXHSVRandomAug,
    from_hsv,
    to_hsv,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_hue_saturation_and_value_are_colorsys_s_and_come_back(colour):
    blue, green, red = (channel / 255 for channel in colour)
    pixel = np.array([[[blue, green, red]]], np.float32)
    hsv = to_hsv(pixel)
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    np.testing.assert_allclose(hsv[0, 0], [hue * 6, saturation, value], atol=2e-5)
    np.testing.assert_allclose(from_hsv(hsv), pixel, atol=1e-5)


def test_normalising_turns_bgr_into_rgb_and_leaves_float32():
    image = np.array([[[10, 20, 30]]], np.uint8)
    results = Normalize([30, 20, 0], [1, 2, 5])({"img": image})
    assert results["img"].tolist() == [[[0, 0, 2]]]
    assert results["img"].dtype == np.float32
    kept = Normalize([0, 0, 0], [1, 1, 1], to_rgb=False)({"img": image})
    assert kept["img"].tolist() == [[[10, 20, 30]]]


@pytest.mark.parametrize(
    "transform",
    [PhotoMetricDistortion(), YOLOXHSVRandomAug(), ColorJitter(0.4, 0.4, 0.4)],
)
def test_a_distortion_follows_the_seed_and_keeps_type_and_shape(transform):
    def drawn(seed):
        np.random.seed(seed)
        return transform({"img": PIXELS})["img"]

    before = PIXELS.copy()
    assert (drawn(1).dtype, drawn(1).shape) == (np.uint8, PIXELS.shape)
    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert len({drawn(seed).tobytes() for seed in range(8)}) > 4
    np.testing.assert_array_equal(PIXELS, before)


@pytest.mark.parametrize(
    "transform",
    [
        PhotoMetricDistortion(0, (1, 1), (1, 1), 0),
        YOLOXHSVRandomAug(0, 0, 0),
        ColorJitter(),
    ],
)
def test_a_distortion_of_no_strength_changes_at_most_the_order_of_channels(transform):
    np.random.seed(3)
    shown = transform({"img": PIXELS})["img"].astype(int)
    assert np.abs(np.sort(shown, axis=-1) - np.sort(PIXELS.astype(int), axis=-1)).max() <= 1

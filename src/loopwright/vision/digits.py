"""Real images without a download: scikit-learn's digits, and scenes of them on textured canvases.

Everything here is a function of its arguments: the same scene for the same (split, index, seed) on
every machine. The digits are UCI's optical digits test set (Kaynak, 1995): 1797 pictures of 8 x 8.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

CLASSES = tuple(str(digit) for digit in range(10))
PALETTE = (
    (228, 26, 28), (55, 126, 184), (77, 175, 74), (152, 78, 163), (255, 127, 0),
    (255, 255, 51), (166, 86, 40), (247, 129, 191), (26, 188, 156), (120, 144, 255),
)  # fmt: skip
SPLITS = ("train", "val", "test")
_ENDS = {"train": (0, 1197), "val": (1197, 1497), "test": (1497, 1797)}
_INK = 0.35
Floats = NDArray[np.float32]


class Scene(NamedTuple):
    """A canvas with digits: image (H, W) in [0, 1], mask (H, W) of 0 or digit + 1, xyxy boxes."""

    image: Floats
    mask: NDArray[np.uint8]
    boxes: Floats
    labels: NDArray[np.int64]


@lru_cache(maxsize=1)
def load() -> tuple[Floats, NDArray[np.int64]]:
    """All digits, (1797, 8, 8) in [0, 1], and their labels.

    Raises ImportError, with the command to install it, where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the embedded digits need scikit-learn: pip install loopwright[vision]"
        ) from error
    data: Any = load_digits()
    return (data.images / 16).astype(np.float32), data.target.astype(np.int64)


def split_indices(split: str) -> NDArray[np.int64]:
    """Which of the 1797 digits belong to a split: 1197 to train, 300 to val, 300 to test.

    No digit is in two splits. Raises ValueError for another name.

    >>> [len(split_indices(split)) for split in SPLITS]
    [1197, 300, 300]
    """
    if split not in _ENDS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    start, end = _ENDS[split]
    return np.random.RandomState(0).permutation(1797)[start:end].astype(np.int64)


def digits_of(split: str) -> tuple[Floats, NDArray[np.int64]]:
    """The pictures (n, 8, 8) and labels (n,) of a split."""
    images, labels = load()
    chosen = split_indices(split)
    return images[chosen], labels[chosen]


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear, (n, h, w) to (n, size, size)."""
    if images.shape[-2:] == (size, size):
        return images
    return interpolate(images[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]


def texture(rng: np.random.RandomState, size: int) -> Floats:
    """A canvas of smooth blotches and fine grain, in [0, 0.5]."""
    coarse = torch.from_numpy(rng.rand(1, 5, 5).astype(np.float32))
    grain = rng.rand(size, size).astype(np.float32)
    return 0.4 * resize(coarse, size)[0].numpy() + 0.1 * grain


def scene(
    split: str,
    index: int,
    *,
    size: int = 64,
    most: int = 4,
    side: tuple[float, float] = (0.25, 0.4),
    seed: int = 0,
) -> Scene:
    """The scene of a split and index: 1 to ``most`` digits that do not touch each other.

    A digit's side is a share of the scene's, drawn from ``side``. Raises ValueError for a share
    that is not above 0 and at most 1, or that makes no pixel.
    """
    if not 0 < side[0] <= side[1] <= 1 or int(size * side[0]) < 1:
        raise ValueError(f"side must be (least, most) within (0, 1], got {side} of {size} pixels")
    images, labels = digits_of_cached(split)
    rng = np.random.RandomState([seed, SPLITS.index(split), index])
    image, mask = texture(rng, size), np.zeros((size, size), np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    found: list[int] = []
    for _ in range(rng.randint(1, most + 1)):
        pick = rng.randint(len(labels))
        pixels = int(size * rng.uniform(*side))
        alpha = resize(torch.from_numpy(images[pick][None]), pixels)[0].numpy()
        box = _paint(rng, image, mask, alpha, int(labels[pick]), boxes)
        if box is not None:
            boxes.append(box)
            found.append(int(labels[pick]))
    return Scene(image, mask, np.array(boxes, np.float32).reshape(-1, 4), np.array(found, np.int64))


@lru_cache(maxsize=3)
def digits_of_cached(split: str) -> tuple[Floats, NDArray[np.int64]]:
    return digits_of(split)


def _paint(
    rng: np.random.RandomState,
    image: Floats,
    mask: NDArray[np.uint8],
    alpha: Floats,
    label: int,
    boxes: list[tuple[int, int, int, int]],
) -> tuple[int, int, int, int] | None:
    """Put one digit on the canvas where there is room; gives its box, or None without room."""
    ink = alpha > _INK
    rows, columns = np.nonzero(ink.any(1))[0], np.nonzero(ink.any(0))[0]
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    alpha, ink = alpha[top:bottom, left:right], ink[top:bottom, left:right]
    height, width = ink.shape
    bright = rng.uniform(0.7, 1.0)
    for _ in range(20):
        x, y = rng.randint(image.shape[1] - width + 1), rng.randint(image.shape[0] - height + 1)
        box = (x, y, x + width, y + height)
        if any(_touch(box, other) for other in boxes):
            continue
        window = image[y : y + height, x : x + width]
        window[...] = window * (1 - alpha) + bright * alpha
        mask[y : y + height, x : x + width][ink] = label + 1
        return box
    return None


def _touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]

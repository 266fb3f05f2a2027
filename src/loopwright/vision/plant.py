"""Bad boxes put on purpose into good annotations, an exact number of each cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loopwright.core.nearest import nearest_or_all

Boxes = NDArray[np.float32]
Labels = NDArray[np.int64]


def _reversed(box: Boxes, size: tuple[int, int], rng: np.random.RandomState) -> Boxes:
    order = ([2, 1, 0, 3], [0, 3, 2, 1], [2, 3, 0, 1])[rng.randint(3)]
    return box[order]


def _partly_outside(box: Boxes, size: tuple[int, int], rng: np.random.RandomState) -> Boxes:
    """Drag the side nearest to the border over it, by a quarter of the box."""
    width, height = size
    room = np.array([box[0], box[1], width - box[2], height - box[3]])
    side = int(room.argmin())
    over = 0.25 * (box[2] - box[0] if side % 2 == 0 else box[3] - box[1])
    spoilt = box.copy()
    spoilt[side] = -over if side < 2 else (width if side == 2 else height) + over
    return spoilt


def _outside(box: Boxes, size: tuple[int, int], rng: np.random.RandomState) -> Boxes:
    return box + np.array([size[0], 0, size[0], 0], np.float32)


def _too_small(box: Boxes, size: tuple[int, int], rng: np.random.RandomState) -> Boxes:
    return np.array([box[0], box[1], box[0], box[3]], np.float32)


def _not_finite(box: Boxes, size: tuple[int, int], rng: np.random.RandomState) -> Boxes:
    spoilt = box.copy()
    spoilt[rng.randint(4)] = (np.nan, np.inf)[rng.randint(2)]
    return spoilt


def _duplicate(box: Boxes, size: tuple[int, int], rng: np.random.RandomState) -> Boxes:
    return box.copy()


Spoil = Callable[[Boxes, tuple[int, int], np.random.RandomState], Boxes]
SPOILT: dict[str, Spoil] = {"reversed": _reversed, "partly_outside": _partly_outside}
ADDED: dict[str, Spoil] = {
    "outside": _outside,
    "too_small": _too_small,
    "not_finite": _not_finite,
    "duplicate": _duplicate,
}


def plant(
    boxes: Sequence[Boxes],
    labels: Sequence[Labels],
    *,
    size: tuple[int, int],
    counts: Mapping[str, int],
    seed: int = 0,
) -> tuple[list[Boxes], list[Labels]]:
    """Copies of boxes (one array (k, 4) an image, xyxy) and labels with bad ones among them.

    ``reversed`` and ``partly_outside`` spoil a box that is there; ``outside``, ``too_small``,
    ``not_finite`` and ``duplicate`` add one at the end. No box is used twice. ``size`` is
    (width, height). Raises ValueError for an unknown cause or too many.

    >>> good = [np.array([[2, 2, 8, 8]], np.float32)]
    >>> plant(good, [np.array([3])], size=(9, 9), counts={"outside": 1})[0][0].tolist()
    [[2.0, 2.0, 8.0, 8.0], [11.0, 2.0, 17.0, 8.0]]
    """
    _check(counts, sum(map(len, boxes)))
    rng = np.random.RandomState(seed + 1)
    spots = [(image, row) for image, rows in enumerate(boxes) for row in range(len(rows))]
    order = iter(rng.permutation(len(spots)))
    spoilt, named = [b.copy() for b in boxes], [x.copy() for x in labels]
    for cause, count in counts.items():
        make = (SPOILT | ADDED)[cause]
        for _ in range(count):
            image, row = spots[next(order)]
            bad = make(boxes[image][row], size, rng).astype(np.float32)
            if cause in SPOILT:
                spoilt[image][row] = bad
                continue
            spoilt[image] = np.concatenate([spoilt[image], bad[None]])
            named[image] = np.append(named[image], labels[image][row])
    return spoilt, named


def _check(counts: Mapping[str, int], there: int) -> None:
    known = [*SPOILT, *ADDED]
    for cause in counts:
        if cause not in known:
            raise ValueError(f"planted: no cause {cause!r}{nearest_or_all(cause, known)}")
    if sum(counts.values()) > there:
        raise ValueError(f"planted: {sum(counts.values())} bad boxes for {there} good ones")

"""Whether four numbers were read in the wrong way: the format's mistake, told from bad boxes.

A single bad box is an annotator's slip. When a large part is bad as read and nearly all are good
read another way, the reading is wrong, and repairing box by box would spoil everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.vision.boxes import FARTHEST
from loopwright.vision.objects import Annotations, Floats

_BAD, _GOOD, _FEWEST, _SLACK = 0.05, 0.98, 10, 1.5
Bools = NDArray[np.bool_]


class Suspicion(NamedTuple):
    """A reading that is probably wrong; ``hint`` marks one that shifts boxes by a pixel at most."""

    kind: str
    message: str
    hint: bool = False


def suspect(annotations: Annotations) -> list[Suspicion]:
    """What about the whole file looks like a mistake of format, with the evidence."""
    if len(annotations) < _FEWEST:
        return []
    sizes = annotations.sizes[annotations.image]
    known = (sizes > 0).all(1) & (np.abs(annotations.raw) <= FARTHEST).all(1)
    if known.sum() < _FEWEST:
        return []
    raw, sizes, boxes = (
        np.asfortranarray(rows[known]) for rows in (annotations.raw, sizes, annotations.boxes)
    )
    checks: list[Callable[[str, Floats, Floats, Floats], Suspicion | None]] = [
        _scale,
        _reading,
        _swapped,
        _origin,
    ]
    found = [check(annotations.read_as, raw, sizes, boxes) for check in checks]
    told = [suspicion for suspicion in found if suspicion is not None]
    if told and told[0].kind in ("shares as pixels", "pixels as shares"):
        return told[:1]
    return told


def _scale(read_as: str, raw: Floats, sizes: Floats, boxes: Floats) -> Suspicion | None:
    """Shares of the sides read as pixels, or pixels as shares."""
    within = float((np.abs(raw) <= _SLACK).mean())
    if read_as != "cxcywh" and within >= 0.99 and np.median(sizes) > 16 and raw.any():
        return Suspicion(
            "shares as pixels",
            f"{100 * within:.0f} % of all coordinates are at most {_SLACK} in images of "
            f"{np.median(sizes):.0f} pixels: they are shares of the sides, read as pixels",
        )
    if read_as == "cxcywh" and within <= 0.5:
        return Suspicion(
            "pixels as shares",
            f"{100 * (1 - within):.0f} % of all coordinates are above {_SLACK}: they are pixels, "
            "read as shares of the sides",
        )
    return None


def _reading(read_as: str, raw: Floats, sizes: Floats, boxes: Floats) -> Suspicion | None:
    """Corners read as corner and size, or the other way round."""
    far = np.ones_like(sizes) if read_as == "cxcywh" else sizes
    slack = 0.005 if read_as == "cxcywh" else _SLACK
    half = raw[:, 2:] / 2
    readings = {
        "xyxy": raw,
        "xywh": np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], 1),
        "cxcywh": np.concatenate([raw[:, :2] - half, raw[:, :2] + half], 1),
    }
    shares = {name: float(_good(box, far, slack).mean()) for name, box in readings.items()}
    others = [name for name in readings if name != read_as]
    best = max(others, key=lambda name: shares[name])
    if 1 - shares[read_as] < _BAD or shares[best] < _GOOD:
        return None
    return Suspicion(
        f"{best} as {read_as}",
        f"{100 * (1 - shares[read_as]):.0f} % of the boxes are reversed or over the border read "
        f"as {read_as}, but {100 * shares[best]:.0f} % are whole and inside read as {best}",
    )


def _good(boxes: Floats, far: Floats, slack: float) -> Bools:
    ordered = (boxes[:, 2:] > boxes[:, :2]).all(1)
    inside = (boxes[:, :2] >= -slack).all(1) & (boxes[:, 2:] <= far + slack).all(1)
    return np.asarray(ordered & inside)


def _swapped(read_as: str, raw: Floats, sizes: Floats, boxes: Floats) -> Suspicion | None:
    """Width and height of the images stored the wrong way round."""
    oblong = sizes[:, 0] != sizes[:, 1]
    if read_as == "cxcywh" or oblong.sum() < _FEWEST:
        return None
    as_told = float((boxes[oblong, 2:] <= sizes[oblong] + _SLACK).all(1).mean())
    turned = float((boxes[oblong, 2:] <= sizes[oblong, ::-1] + _SLACK).all(1).mean())
    if 1 - as_told < _BAD or turned < _GOOD:
        return None
    return Suspicion(
        "width and height swapped",
        f"{100 * (1 - as_told):.0f} % of the boxes reach over their image, "
        f"{100 * (1 - turned):.0f} % if its width and height are swapped",
    )


def _origin(read_as: str, raw: Floats, sizes: Floats, boxes: Floats) -> Suspicion | None:
    """Pixels counted from 1 read as counted from 0, or the other way round."""
    first, last = raw[:, :2], boxes[:, 2:]
    at_zero, at_one = int((first == 0).sum()), int((first == 1).sum())
    ends = int((last == sizes).sum())
    if read_as == "xyxy" and at_zero and (boxes[:, :2].min(1) < 0).any():
        return Suspicion(
            "pixels from 0 as from 1",
            f"{at_zero} boxes start at 0, which VOC's pixels, counted from 1, cannot",
            hint=True,
        )
    if read_as == "xywh" and not at_zero and at_one >= max(3, 0.01 * len(raw)) and ends >= 3:
        return Suspicion(
            "pixels from 1 as from 0",
            f"no box starts at 0, {at_one} start at 1, {ends} end at the border: pixels may be "
            "counted from 1, as VOC does",
            hint=True,
        )
    return None

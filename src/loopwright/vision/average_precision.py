"""Average precision of boxes by COCO's rules, in plain numpy.

Lin et al., "Microsoft COCO: Common Objects in Context", 2014: ten overlaps from 0.5 to 0.95, at
most 100 boxes an image, precision at 101 recalls; ignored truth neither counts nor punishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}


class Detections(NamedTuple):
    """What was found in one image: xyxy boxes (k, 4), scores (k,), labels (k,)."""

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]


class Truth(NamedTuple):
    """What is in one image; ``ignore`` (k,) marks regions that do not count, as COCO's crowds."""

    boxes: Floats
    labels: NDArray[np.int64]
    ignore: Bools
    area: Floats


class Scores(NamedTuple):
    """Precision (overlap, class) and recall (overlap, class); NaN for a class without truth."""

    precision: Floats
    recall: Floats


class _Matched(NamedTuple):
    """One image and class: scores (k,), which are right, which do not count, by overlap."""

    scores: Floats
    right: Bools
    ignored: Bools
    truths: int


def overlaps(found: Floats, truth: Floats, crowd: Bools) -> Floats:
    """Intersection over union (k, n); over the found box's own area where the truth is a crowd.

    >>> overlaps(np.array([[0., 0, 2, 2]]), np.array([[0., 0, 2, 4]]), np.array([False]))
    array([[0.5]])
    """
    corner = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    corner = corner - np.maximum(found[:, None, :2], truth[None, :, :2])
    inter = corner.clip(0).prod(-1)
    own, other = _area(found)[:, None], _area(truth)[None]
    union = np.where(crowd[None], own, own + other - inter)
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def _area(boxes: Floats) -> Floats:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def evaluate(
    found: Sequence[Detections],
    truth: Sequence[Truth],
    classes: int,
    *,
    area: str = "all",
    most: int = 100,
) -> Scores:
    """Precision and recall of each class over all images, at each of the ten overlaps."""
    precision = np.full((len(OVERLAPS), classes), np.nan)
    recall = np.full((len(OVERLAPS), classes), np.nan)
    for label in range(classes):
        matched = [_match(f, t, label, AREAS[area], most) for f, t in zip(found, truth)]
        there = [m for m in matched if m is not None]
        if sum(m.truths for m in there):
            precision[:, label], recall[:, label] = _accumulate(there)
    return Scores(precision, recall)


def _match(
    found: Detections, truth: Truth, label: int, limits: tuple[float, float], most: int
) -> _Matched | None:
    """Give each found box, best first, the truth it overlaps most that is still free."""
    chosen = np.flatnonzero(found.labels == label)
    chosen = chosen[np.argsort(-found.scores[chosen], kind="stable")][:most]
    there = np.flatnonzero(truth.labels == label)
    if not len(chosen) and not len(there):
        return None
    crowd, area = truth.ignore[there], truth.area[there]
    ignore = crowd | (area < limits[0]) | (area > limits[1])
    order = np.argsort(ignore, kind="stable")
    there, crowd, ignore = there[order], crowd[order], ignore[order]
    boxes = found.boxes[chosen]
    table = overlaps(boxes, truth.boxes[there], crowd)
    right = np.zeros((len(OVERLAPS), len(chosen)), bool)
    ignored = np.zeros_like(right)
    for row, least in enumerate(OVERLAPS):
        for box, at in enumerate(_assign(table, crowd, ignore, least)):
            if at >= 0:
                right[row, box], ignored[row, box] = True, ignore[at]
    sides = _area(boxes)
    beyond = (sides < limits[0]) | (sides > limits[1])
    ignored |= ~right & beyond
    return _Matched(found.scores[chosen], right, ignored, int((~ignore).sum()))


def _assign(table: Floats, crowd: Bools, ignore: Bools, least: float) -> list[int]:
    """Which truth each box gets at an overlap of at least ``least``; -1 for none.

    Truths that count come first in the table and are preferred to ignored ones; crowds take any
    number of boxes. Of equal overlaps the later truth is taken, as the reference does.
    """
    free = np.ones(len(crowd), bool)
    counted = int((~ignore).sum())
    answer = []
    for row in table:
        at = _last_best(np.where(free[:counted], row[:counted], -1.0), least)
        if at < 0:
            rest = np.where(free[counted:] | crowd[counted:], row[counted:], -1.0)
            at = _last_best(rest, least)
            at = at + counted if at >= 0 else -1
        if at >= 0:
            free[at] = False
        answer.append(at)
    return answer


def _last_best(row: Floats, least: float) -> int:
    if not len(row) or row.max() < min(least, 1 - 1e-10):
        return -1
    return int(len(row) - 1 - row[::-1].argmax())


def _accumulate(matched: Sequence[_Matched]) -> tuple[Floats, Floats]:
    """Mean precision over the recalls and the final recall, at each overlap."""
    scores = np.concatenate([m.scores for m in matched])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([m.right for m in matched], 1)[:, order]
    ignored = np.concatenate([m.ignored for m in matched], 1)[:, order]
    truths = sum(m.truths for m in matched)
    hits = np.cumsum(right & ~ignored, 1, dtype=float)
    misses = np.cumsum(~right & ~ignored, 1, dtype=float)
    recall = hits / truths
    precision = hits / (hits + misses + np.spacing(1))
    falling = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    mean = np.zeros(len(OVERLAPS))
    for row in range(len(OVERLAPS)):
        at = np.searchsorted(recall[row], RECALLS, side="left")
        padded = np.append(falling[row], 0.0)
        mean[row] = padded[at].mean()
    return mean, recall[:, -1] if recall.shape[1] else np.zeros(len(OVERLAPS))


def summary(found: Sequence[Detections], truth: Sequence[Truth], classes: int) -> dict[str, Any]:
    """COCO's figures by name, each in [0, 1] (NaN without truth), and ``by_class`` (classes, 2).

    The two columns of ``by_class`` are mAP and mAP at an overlap of 0.5.
    """
    whole = evaluate(found, truth, classes)
    figures: dict[str, Any] = {
        "mAP": _mean(whole.precision),
        "mAP_50": _mean(whole.precision[0]),
        "mAP_75": _mean(whole.precision[5]),
    }
    for letter, area in (("s", "small"), ("m", "medium"), ("l", "large")):
        part = evaluate(found, truth, classes, area=area)
        figures[f"mAP_{letter}"] = _mean(part.precision)
    figures["AR@100"] = _mean(whole.recall)
    figures["by_class"] = np.stack([whole.precision.mean(0), whole.precision[0]], 1)
    return figures


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def detections(sample: Mapping[str, Any]) -> Detections:
    """Predictions of one image from arrays or tensors."""
    return Detections(
        np.asarray(sample["boxes"], np.float64).reshape(-1, 4),
        np.asarray(sample["scores"], np.float64),
        np.asarray(sample["labels"], np.int64),
    )


def truth_of(sample: Mapping[str, Any]) -> Truth:
    """Truth of one image; nothing is ignored and areas are the boxes' where not given."""
    boxes = np.asarray(sample["boxes"], np.float64).reshape(-1, 4)
    ignore = sample.get("ignore")
    area = sample.get("area")
    return Truth(
        boxes,
        np.asarray(sample["labels"], np.int64),
        np.zeros(len(boxes), bool) if ignore is None else np.asarray(ignore, bool),
        _area(boxes) if area is None else np.asarray(area, np.float64),
    )

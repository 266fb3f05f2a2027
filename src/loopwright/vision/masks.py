"""Masks as COCO stores them, polygons and run lengths: frame and area, without drawing a pixel.

Run lengths count pixels down the columns, first those outside the mask, then those inside, and so
on. ``counts`` is a list of them, or text that pycocotools makes of them: five bits a character,
from the third on as the difference to the run two before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.vision.boxes import FARTHEST
from loopwright.vision.images import MAX_PIXELS
from loopwright.vision.objects import Floats, Ints

_NUMBERS = frozenset({int, float})
_AT_ONCE = 20_000  # objects, so that a million polygons do not fill the memory
_LONGEST = 8  # characters a run: 2 ** 40 pixels


class MaskError(ValueError):
    """A mask that is neither polygons nor run lengths of its image."""


class Measured(NamedTuple):
    """Frames (n, 4) xyxy and areas (n,), NaN without a mask; rows and faults of the bad ones."""

    extent: Floats
    area: Floats
    faults: list[tuple[int, str]]


def measure(masks: Sequence[Any], sizes: Floats) -> Measured | None:
    """Frame and area of each object's mask; None where no object has one.

    ``sizes`` (n, 2) are the width and height of the objects' images, 0 where not known. An object
    without a mask has None or an empty list.
    """
    there = [row for row, mask in enumerate(masks) if mask is not None and mask != []]
    if not there:
        return None
    found = Measured(np.full((len(masks), 4), np.nan), np.full(len(masks), np.nan), [])
    for kind, of_many in ((list, _polygons), (dict, _runs)):
        rows = [row for row in there if type(masks[row]) is kind]
        for start in range(0, len(rows), _AT_ONCE):
            _fill(found, rows[start : start + _AT_ONCE], of_many, masks, sizes)
    others = [row for row in there if type(masks[row]) not in (list, dict)]
    faults = [(row, f"a {type(masks[row]).__name__} is no mask") for row in others]
    return found._replace(faults=sorted(found.faults + faults))


def _fill(found: Measured, rows: list[int], of_many: Any, masks: Sequence[Any], sizes: Any) -> None:
    """Measure some rows together; each alone only if one of them cannot be read."""
    try:
        found.extent[rows], found.area[rows] = of_many([masks[row] for row in rows], sizes[rows])
    except MaskError as error:
        if len(rows) == 1:
            found.faults.append((rows[0], str(error)))
            return
        for row in rows:
            _fill(found, [row], of_many, masks, sizes)


def _polygons(masks: Sequence[Any], sizes: Floats) -> tuple[Floats, Floats]:
    """Frames and areas of objects that are lists of polygons. Raises MaskError."""
    parts = list(chain.from_iterable(masks))
    if set(map(type, parts)) - {list}:
        raise MaskError("a polygon is a list of numbers x, y, x, y, …")
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    if (lengths < 6).any() or (lengths % 2).any():
        raise MaskError("a polygon has at least three points, each of two numbers")
    flat = _numbers(parts, int(lengths.sum()))
    if not (np.abs(flat) < FARTHEST).all():
        raise MaskError("a polygon has a coordinate that is not finite, or beyond any image")
    x, y = np.ascontiguousarray(flat[::2]), np.ascontiguousarray(flat[1::2])
    ends = np.cumsum(lengths // 2)
    starts = ends - lengths // 2
    following = np.arange(1, len(x) + 1)
    following[ends - 1] = starts
    cross = np.add.reduceat(x * y[following] - x[following] * y, starts)
    counts = np.fromiter(map(len, masks), np.int64, len(masks))
    first = np.cumsum(counts) - counts
    area = np.add.reduceat(np.abs(cross) / 2, first)
    begin = starts[first]
    low = [np.minimum.reduceat(side, begin) for side in (x, y)]
    high = [np.maximum.reduceat(side, begin) for side in (x, y)]
    return np.stack([*low, *high], 1), area


def _numbers(parts: Sequence[Any], count: int) -> Floats:
    """All numbers in one row. Raises MaskError for anything else among them."""
    if set(map(type, chain.from_iterable(parts))) - _NUMBERS:
        raise MaskError("a polygon has something that is no number")
    try:
        return np.fromiter(chain.from_iterable(parts), np.float64, count)
    except OverflowError as error:
        raise MaskError("a polygon has a number that is too large") from error


def _runs(masks: Sequence[Any], sizes: Floats) -> tuple[Floats, Floats]:
    """Frames and areas of objects that are run lengths. Raises MaskError."""
    sides = np.array([_sides(mask) for mask in masks], np.int64).reshape(-1, 2)
    other = (sizes > 0).all(1) & (sides[:, ::-1] != sizes).any(1)
    if other.any():
        at = int(np.flatnonzero(other)[0])
        said = " x ".join(f"{side:g}" for side in sizes[at, ::-1])
        raise MaskError(f"run lengths of {sides[at, 0]} x {sides[at, 1]}, its image is {said}")
    runs, counts = _lengths([mask["counts"] for mask in masks])
    of = np.repeat(np.arange(len(masks)), counts)
    ends = _sums(runs, counts)
    total = np.bincount(of, runs, len(masks))
    if (runs < 0).any() or (total != sides.prod(1)).any():
        raise MaskError("run lengths do not add up to the image's pixels")
    inside = (_places(counts) % 2 == 1) & (runs > 0)
    return _frames(ends[inside] - runs[inside], ends[inside], of[inside], sides)


def _frames(starts: Ints, ends: Ints, of: Ints, sides: Ints) -> tuple[Floats, Floats]:
    """Frames and areas of masks from where the runs inside them start and end."""
    area: Floats = np.bincount(of, ends - starts, len(sides)).astype(np.float64)
    if not area.all():
        raise MaskError("a mask without a pixel")
    height = sides[of, 0]
    left, right = starts // height, (ends - 1) // height + 1
    whole = right > left + 1  # a run over two columns reaches from edge to edge
    top = np.where(whole, 0, starts % height)
    bottom = np.where(whole, height, (ends - 1) % height + 1)
    first = np.searchsorted(of, np.arange(len(sides)))
    low = [np.minimum.reduceat(side, first) for side in (left, top)]
    high = [np.maximum.reduceat(side, first) for side in (right, bottom)]
    return np.stack([*low, *high], 1).astype(np.float64), area


def _sides(mask: Mapping[str, Any]) -> tuple[int, int]:
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or set(map(type, size)) != {int}:
        raise MaskError(f"run lengths need size [height, width], got {size!r}"[:80])
    if not isinstance(counts, str | list | bytes) or not counts:
        raise MaskError(f"run lengths need counts, a list or text, got {counts!r}"[:80])
    if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise MaskError(f"run lengths of size {size}"[:80])
    return size[0], size[1]


def _lengths(counts: Sequence[Any]) -> tuple[Ints, Ints]:
    """All runs in one row, and how many of them each mask has."""
    if all(isinstance(one, list) for one in counts):
        return _listed(counts)
    if all(isinstance(one, str | bytes) for one in counts):
        return _decoded([_bytes(one) for one in counts])
    each = [_lengths([one])[0] for one in counts]
    return np.concatenate(each), np.array(list(map(len, each)), np.int64)


def _bytes(text: str | bytes) -> bytes:
    return text.encode(errors="surrogatepass") if isinstance(text, str) else text


def _listed(counts: Sequence[list[Any]]) -> tuple[Ints, Ints]:
    many = np.fromiter(map(len, counts), np.int64, len(counts))
    if set(map(type, chain.from_iterable(counts))) != {int}:
        raise MaskError("run lengths are whole numbers")
    try:
        return np.fromiter(chain.from_iterable(counts), np.int64, int(many.sum())), many
    except OverflowError as error:
        raise MaskError("run lengths do not add up to the image's pixels") from error


def _decoded(texts: Sequence[bytes]) -> tuple[Ints, Ints]:
    """The runs of compressed texts. Raises MaskError for a character that does not belong."""
    letters = np.frombuffer(b"".join(texts), np.uint8) - np.uint8(48)  # below 48 wraps to above 63
    last = (letters & 32) == 0
    stops = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    if (letters > 63).any() or not last[stops - 1].all():
        raise MaskError("compressed run lengths are broken off or have a foreign character")
    sizes = np.diff(np.flatnonzero(last), prepend=-1)
    if (sizes > _LONGEST).any():
        raise MaskError("run lengths do not add up to the image's pixels")
    parts = (letters & 31).astype(np.int64) << (5 * _places(sizes))
    values = np.add.reduceat(parts, np.cumsum(sizes) - sizes)
    values -= ((letters[last] & 16) > 0) * (np.int64(1) << (5 * sizes))
    counts = np.diff(np.cumsum(last)[stops - 1], prepend=0)
    return _undone(values, counts), counts


def _undone(values: Ints, counts: Ints) -> Ints:
    """Runs from the third on as differences to those two before, added up again."""
    place = _places(counts)
    runs = values.copy()
    for chosen, many in (
        (place % 2 == 1, counts // 2),
        ((place % 2 == 0) & (place > 0), (counts - 1) // 2),
    ):
        runs[chosen] = _sums(values[chosen], many)
    return runs


def _places(counts: Ints) -> Ints:
    """0, 1, 2, … anew for each of the counts.

    >>> _places(np.array([2, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _sums(values: Ints, counts: Ints) -> Ints:
    """Running sums that begin anew for each of the counts.

    >>> _sums(np.array([1, 2, 3, 4]), np.array([2, 0, 2])).tolist()
    [1, 3, 3, 7]
    """
    running = np.concatenate([[0], np.cumsum(values)])
    return running[1:] - np.repeat(running[np.cumsum(counts) - counts], counts)


def decode(mask: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Run lengths as a mask (H, W) of 0 and 1. Raises MaskError.

    >>> decode({"size": [2, 3], "counts": [1, 2, 3]}).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    height, width = _sides(mask)
    runs, _ = _lengths([mask["counts"]])
    if (runs < 0).any() or runs.sum() != height * width:
        raise MaskError("run lengths do not add up to the image's pixels")
    columns = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return columns.reshape(width, height).T


class RunLengths:
    """Run lengths that become a mask (H, W) where an array is asked for: most are never looked at.

    >>> np.asarray(RunLengths({"size": [2, 2], "counts": [3, 1]})).tolist()
    [[0, 0], [0, 1]]
    """

    def __init__(self, mask: Mapping[str, Any]) -> None:
        self.mask = mask

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return decode(self.mask).astype(dtype or np.uint8)

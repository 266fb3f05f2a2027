"""Annotations in memory, one form for every format: images, classes, one row for each object."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROBLEMS = {
    "bad_entry": ("drop", "not readable as an object: wrong type, missing key, not four numbers"),
    "bad_mask": ("keep", "its mask cannot be read; its box is not compared with it"),
    "unknown_category": ("drop", "its class is not among the categories"),
    "unknown_image": ("drop", "its image is not among the images"),
    "duplicate_annotation_id": ("renumber", "an annotation id is used twice"),
    "duplicate_image_id": ("drop", "an image id is used twice; the later entry cannot be told"),
    "duplicate_image": ("keep", "one file is listed under two ids"),
    "duplicate_category": ("drop", "a category id is used twice"),
    "duplicate_name": ("keep", "two categories have one name: their objects count together"),
    "bad_size": ("keep", "width or height is missing or not positive: boxes cannot be clipped"),
    "wrong_size": ("repair", "the stated size is not the file's"),
    "missing_image": ("keep", "the image file is not there"),
    "unreadable_image": ("keep", "the image file cannot be decoded"),
    "extra_image": ("keep", "an image file without an entry"),
    "path_outside": ("keep", "the file name leads out of the image folder"),
    "unmatched_class": ("keep", "a class that was asked for matches no category"),
    "unused_class": ("keep", "a category without one object"),
}


class Problem(NamedTuple):
    """One fault that is not a box's: its cause, where it is, and what was found."""

    cause: str
    where: str
    detail: str = ""

    @property
    def action(self) -> str:
        return PROBLEMS[self.cause][0]


class ImageEntry(NamedTuple):
    """One image as annotated; width and height are 0 where they are not known."""

    id: Any
    file_name: str
    width: float
    height: float


@dataclass(frozen=True)
class Annotations:
    """All objects of a dataset as parallel rows, and what was wrong with the rest of the file.

    ``boxes`` (n, 4) are xyxy in pixels from 0, ``labels`` (n,) count in ``classes``, ``image``
    (n,) in ``images``; ``area`` (n,), ``extent`` (n, 4), the frame of a mask, and ``mask_area``
    (n,) are NaN where not given; ``rows`` (n,) is where each object is in ``origin``, which only
    its format reads. ``read_as`` says how the four numbers were understood (``xywh``, ``xyxy``,
    ``cxcywh``) and ``raw`` (n, 4) holds them as they stand in the file.
    """

    kind: str
    source: Path
    images: Sequence[ImageEntry]
    classes: Sequence[str]
    boxes: Floats
    raw: Floats
    labels: Ints
    image: Ints
    ids: Sequence[Any]
    area: Floats
    extent: Floats | None
    crowd: NDArray[np.bool_]
    rows: Ints
    origin: Any
    read_as: str
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    mask_area: Floats | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sizes(self) -> Floats:
        """Width and height of the images, (images, 2)."""
        return np.array([(i.width, i.height) for i in self.images], np.float64).reshape(-1, 2)

    def name(self, row: int) -> str:
        """An object by file and id, for a message."""
        return f"{self.images[int(self.image[row])].file_name}#{self.ids[row]}"


@contextmanager
def no_collection() -> Iterator[None]:
    """No cycle collection meanwhile: over millions of new dicts it would take half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def take(fields: Mapping[str, Any], index: Any) -> dict[str, Any]:
    """The same rows of every field: arrays, tensors, lists: labels, masks, keypoints, ids.

    Raises ValueError where the fields are not equally long.

    >>> take({"labels": np.array([7, 8, 9]), "ids": ["a", "b", "c"]}, [0, 2])
    {'labels': array([7, 9]), 'ids': ['a', 'c']}
    """
    lengths = {name: len(values) for name, values in fields.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"fields are not equally long: {lengths}")
    chosen = np.asarray(index, np.intp)
    return {
        name: values[chosen] if hasattr(values, "shape") else [values[i] for i in chosen.tolist()]
        for name, values in fields.items()
    }

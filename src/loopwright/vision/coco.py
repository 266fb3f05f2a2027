"""COCO json to objects and back: what is wrong is listed, what was right stays as it is written."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopwright.vision.boxes import Repaired
from loopwright.vision.masks import Measured, measure
from loopwright.vision.objects import Annotations, Floats, ImageEntry, Ints, Problem, no_collection
from loopwright.vision.policy import AnnotationError

_NUMBERS = frozenset({int, float})


def read(path: str | Path) -> Annotations:
    """Read a COCO file. Raises AnnotationError for what is no COCO file at all."""
    with no_collection():
        return _read(Path(path))


def _read(source: Path) -> Annotations:
    data = _parsed(source)
    problems: list[Problem] = []
    images, image_at = _images(data["images"], problems)
    classes, class_at = _categories(data["categories"], problems)
    entries = data["annotations"]
    rows, raw = _usable(entries, image_at, class_at, problems)
    kept = entries if len(rows) == len(entries) else [entries[row] for row in rows]
    ids = [entry.get("id") for entry in kept]
    _ids_twice(ids, problems)
    image = _places(kept, "image_id", image_at)
    masks = _masks(kept, images, image, problems)
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], 1)
    return Annotations(
        kind="coco",
        source=source,
        images=images,
        classes=classes,
        boxes=corners,
        raw=raw,
        labels=_places(kept, "category_id", class_at),
        image=image,
        ids=ids,
        area=_numbers(kept, "area"),
        extent=masks.extent if masks else None,
        mask_area=masks.area if masks else None,
        crowd=_truths(kept, "iscrowd"),
        rows=np.asarray(rows, np.int64),
        origin=data,
        read_as="xywh",
        problems=problems,
    )


def _masks(
    entries: Sequence[Any], images: Sequence[ImageEntry], image: Ints, problems: list[Problem]
) -> Measured | None:
    """The masks' frames and areas; those that cannot be read are listed."""
    given = [entry.get("segmentation") for entry in entries]
    if not any(given):
        return None
    sizes = np.array([(entry.width, entry.height) for entry in images], np.float64)
    found = measure(given, sizes.reshape(-1, 2)[image])
    for row, fault in found.faults if found else []:
        where = f"{images[int(image[row])].file_name}#{entries[row].get('id')}"
        problems.append(Problem("bad_mask", where, fault))
    return found


def _loads(text: bytes) -> Any:
    """Parse json; twice as fast where orjson is installed, which does not know NaN."""
    try:
        return importlib.import_module("orjson").loads(text)
    except (ImportError, ValueError):
        return json.loads(text)


def _parsed(source: Path) -> dict[str, Any]:
    try:
        data = _loads(source.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{source} is not readable as json: {error}") from error
    if not isinstance(data, dict):
        raise AnnotationError(f"{source} holds a {type(data).__name__}, a COCO file is an object")
    for key in ("images", "annotations", "categories"):
        if not isinstance(data.get(key), list):
            got = type(data[key]).__name__ if key in data else "nothing"
            raise AnnotationError(f"{source}: {key!r} must be a list, got {got}")
    return data


def _places(entries: Sequence[Any], key: str, at: Mapping[Any, int]) -> Ints:
    """Where in the images or categories the id under a key is, for each entry."""
    return np.fromiter(map(at.__getitem__, map(itemgetter(key), entries)), np.int64, len(entries))


def _numbers(entries: Sequence[Any], key: str) -> Floats:
    """The number under a key, NaN where there is none, -1 for what is no number."""
    values = [entry.get(key, np.nan) for entry in entries]
    if not set(map(type, values)) <= {float}:
        values = list(map(_number, values))
    return np.fromiter(values, np.float64, len(values))


def _truths(entries: Sequence[Any], key: str) -> NDArray[np.bool_]:
    return np.fromiter(map(bool, [entry.get(key) for entry in entries]), bool, len(entries))


def _number(value: Any) -> float:
    """A number as it is; anything else as one that cannot be an area."""
    if type(value) not in _NUMBERS:
        return -1.0
    try:
        return float(value)
    except OverflowError:
        return -1.0


def _images(
    entries: Sequence[Any], problems: list[Problem]
) -> tuple[list[ImageEntry], dict[Any, int]]:
    images: list[ImageEntry] = []
    at: dict[Any, int] = {}
    names: dict[str, Any] = {}
    for number, entry in enumerate(entries):
        if not _is_image(entry):
            problems.append(Problem("bad_entry", f"images[{number}]", repr(entry)[:80]))
            continue
        name = entry["file_name"]
        if entry["id"] in at:
            problems.append(Problem("duplicate_image_id", name, f"id {entry['id']!r}"))
            continue
        if name in names:
            problems.append(Problem("duplicate_image", name, f"{names[name]!r}, {entry['id']!r}"))
        width, height = _number(entry.get("width")), _number(entry.get("height"))
        if not (0 < width < np.inf and 0 < height < np.inf):
            said = f"{entry.get('width')!r} x {entry.get('height')!r}"
            problems.append(Problem("bad_size", name, said))
            width = height = 0
        names.setdefault(name, entry["id"])
        at[entry["id"]] = len(images)
        images.append(ImageEntry(entry["id"], name, width, height))
    return images, at


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_category(entry: Any) -> bool:
    return isinstance(entry, dict) and _is_id(entry.get("id"))


def _is_image(entry: Any) -> bool:
    return _is_category(entry) and isinstance(entry.get("file_name"), str)


def _categories(
    entries: Sequence[Any], problems: list[Problem]
) -> tuple[list[str], dict[Any, int]]:
    classes: list[str] = []
    at: dict[Any, int] = {}
    for number, entry in enumerate(entries):
        if not _is_category(entry):
            problems.append(Problem("bad_entry", f"categories[{number}]", repr(entry)[:80]))
        elif entry["id"] in at:
            where = f"categories[{number}]"
            problems.append(Problem("duplicate_category", where, f"id {entry['id']!r}"))
        else:
            at[entry["id"]] = len(classes)
            name = str(entry.get("name", entry["id"]))
            if name in classes:
                problems.append(Problem("duplicate_name", repr(name), f"id {entry['id']!r}"))
            classes.append(name)
    return classes, at


def _usable(
    entries: Sequence[Any],
    image_at: Mapping[Any, int],
    class_at: Mapping[Any, int],
    problems: list[Problem],
) -> tuple[Sequence[int], Floats]:
    """Which annotations can become rows, and their boxes; the others are listed."""
    boxes = _all_plain(entries, image_at, class_at)
    if boxes is not None:
        return range(len(entries)), boxes
    rows = []
    for number, entry in enumerate(entries):
        problem = _fault(entry, f"annotations[{number}]", image_at, class_at)
        if problem is None:
            rows.append(number)
        else:
            problems.append(problem)
    return rows, _table([entries[row]["bbox"] for row in rows])


def _all_plain(
    entries: Sequence[Any], images: Mapping[Any, int], known: Mapping[Any, int]
) -> Floats | None:
    """The boxes where nothing needs a closer look: a million entries take this fast way."""
    try:
        boxes = list(map(itemgetter("bbox"), entries))
        if not all(map(images.__contains__, map(itemgetter("image_id"), entries))):
            return None
        if not all(map(known.__contains__, map(itemgetter("category_id"), entries))):
            return None
        if set(map(type, boxes)) - {list} or set(map(len, boxes)) - {4}:
            return None
        plain = set(map(type, chain.from_iterable(boxes))) <= _NUMBERS
        return _table(boxes) if plain else None
    except (KeyError, TypeError, OverflowError):
        return None


def _table(boxes: Sequence[Any]) -> Floats:
    """Boxes as (n, 4), each column in one piece. Raises OverflowError for 10**400."""
    flat = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes))
    return np.asfortranarray(flat.reshape(-1, 4))


def _all_fit(box: Any) -> bool:
    try:
        _table([box])
    except OverflowError:
        return False
    return True


def _fault(
    entry: Any, where: str, image_at: Mapping[Any, int], class_at: Mapping[Any, int]
) -> Problem | None:
    if not isinstance(entry, dict):
        return Problem("bad_entry", where, repr(entry)[:80])
    where = f"{where} id {entry.get('id')!r}"
    box = entry.get("bbox")
    plain = isinstance(box, list) and len(box) == 4 and set(map(type, box)) <= _NUMBERS
    if not plain or not _all_fit(box):
        return Problem("bad_entry", where, f"bbox {box!r}"[:80])
    if not _known(entry.get("image_id"), image_at):
        return Problem("unknown_image", where, f"image_id {entry.get('image_id')!r}")
    if not _known(entry.get("category_id"), class_at):
        return Problem("unknown_category", where, f"category_id {entry.get('category_id')!r}")
    return None


def _known(value: Any, table: Mapping[Any, int]) -> bool:
    return isinstance(value, str | int | float) and value in table


def _ids_twice(ids: Sequence[Any], problems: list[Problem]) -> None:
    if set(map(type, ids)) <= {int, str} and len(set(ids)) == len(ids):
        return
    for key, count in Counter(map(repr, ids)).items():
        problems += [Problem("duplicate_annotation_id", f"id {key}")] * (count - 1)


def write(annotations: Annotations, repaired: Repaired, touched: Any, out: Path) -> None:
    """Write the repaired file; entries without a finding are written as they were read."""
    data = annotations.origin
    boxes = dict(zip(repaired.index.tolist(), range(len(repaired.index))))
    changed = set(np.asarray(touched).tolist())
    sizes = {entry.id: entry for entry in annotations.images}
    entries, used = [], set()
    fresh = _fresh_ids(data["annotations"])
    for row in repaired.index.tolist():
        entry = data["annotations"][int(annotations.rows[row])]
        if row in changed:
            entry = _rewritten(entry, repaired, boxes[row])
        if not _is_id(entry.get("id")) or entry["id"] in used:
            entry = {**entry, "id": fresh()}
        used.add(entry["id"])
        entries.append(entry)
    fixed = {
        **data,
        "images": [_sized(e, sizes) for e in _once(data["images"], _is_image)],
        "categories": _once(data["categories"], _is_category),
        "annotations": entries,
    }
    out.write_text(json.dumps(fixed), encoding="utf-8")


def _rewritten(entry: Mapping[str, Any], repaired: Repaired, place: int) -> dict[str, Any]:
    left, top, right, bottom = repaired.boxes[place].tolist()
    box = [_short(v) for v in (left, top, right - left, bottom - top)]
    written = {**entry, "bbox": box}
    if "area" in entry:
        written["area"] = _short(float(repaired.area[place]))
    if repaired.ignore[place]:
        written["iscrowd"] = 1
    return written


def _short(value: float) -> float | int:
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def _fresh_ids(entries: Sequence[Any]) -> Callable[[], int]:
    numbers = [e["id"] for e in entries if isinstance(e, dict) and type(e.get("id")) is int]
    state = [max(numbers, default=0)]

    def fresh() -> int:
        state[0] += 1
        return state[0]

    return fresh


def _once(entries: Sequence[Any], readable: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """Entries that can be read, the first of each id."""
    kept: dict[Any, dict[str, Any]] = {}
    for entry in filter(readable, entries):
        kept.setdefault(entry["id"], entry)
    return list(kept.values())


def _sized(entry: dict[str, Any], sizes: Mapping[Any, ImageEntry]) -> dict[str, Any]:
    """The entry with the size that the file turned out to have."""
    image = sizes[entry["id"]]
    if not image.width or (entry.get("width"), entry.get("height")) == (image.width, image.height):
        return entry
    return {**entry, "width": int(image.width), "height": int(image.height)}

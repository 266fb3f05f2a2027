"""Pascal VOC xml to objects and back, one file an image.

VOC counts pixels from 1 and includes the last one: a box of the first pixel is (1, 1, 1, 1), here
(0, 0, 1, 1). So 1 is taken from the minima alone (``offset=1``); ``offset=0`` is for files, common
with newer tools, that count from 0.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.vision.boxes import Repaired
from loopwright.vision.images import files_below
from loopwright.vision.objects import Annotations, Floats, ImageEntry, Problem
from loopwright.vision.policy import AnnotationError

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MOST_BYTES = 16_000_000
_REFUSED = (b"<!DOCTYPE", b"<!ENTITY", b"\0")  # entities can grow without end; UTF-16 hides them


def _xml_files(folder: Path) -> list[Path]:
    return sorted(file for file in files_below(folder) if file.suffix.lower() == ".xml")


def read(path: str | Path, *, offset: int = 1, classes: Sequence[str] | None = None) -> Annotations:
    """Read one xml file or all below a folder; classes in order of their names unless given.

    Raises AnnotationError where there is none.
    """
    source = Path(path)
    files = [source] if source.is_file() else _xml_files(source)
    if not files:
        raise AnnotationError(f"no xml file in {source}")
    problems: list[Problem] = []
    images: list[ImageEntry] = []
    found: list[tuple[int, int, str, list[float], bool]] = []
    for file in files:
        root = _parsed(file, problems)
        if root is None:
            continue
        images.append(_image(file, root, problems))
        for number, thing in enumerate(root.findall("object")):
            where = f"{file.name} object {number}"
            box = _corners(thing, where, problems)
            name = (thing.findtext("name") or "").strip()
            if not name:
                problems.append(Problem("bad_entry", where, "an object without a name"))
            elif box is not None:
                found.append((len(images) - 1, number, name, box, _hard(thing)))
    names = list(classes) if classes is not None else sorted({row[2] for row in found})
    found = _of_known_class(found, names, images, problems)
    raw = np.array([row[3] for row in found], np.float64).reshape(-1, 4)
    return Annotations(
        kind="voc",
        source=source,
        images=images,
        classes=names,
        boxes=_from_zero(raw, offset),
        raw=raw,
        labels=np.array([names.index(row[2]) for row in found], np.int64),
        image=np.array([row[0] for row in found], np.int64),
        ids=[row[1] for row in found],
        area=np.full(len(found), np.nan),
        extent=None,
        crowd=np.array([row[4] for row in found], bool),
        rows=np.array([row[1] for row in found], np.int64),
        origin={"files": [Path(str(image.id)) for image in images], "offset": offset},
        read_as="xyxy",
        problems=problems,
        notes=(f"VOC pixels counted from {offset}: {offset} taken from the minima",),
    )


def _parsed(file: Path, problems: list[Problem]) -> ET.Element | None:
    try:
        text = file.read_bytes()
        if len(text) > _MOST_BYTES or any(mark in text for mark in _REFUSED):
            raise ET.ParseError("too large, with a document type, or not in UTF-8")
        root = ET.fromstring(text)
        if root.tag != "annotation" and root.find("object") is None:
            raise ET.ParseError(f"its root is <{root.tag}>, VOC's is <annotation>")
        return root
    except (ET.ParseError, OSError, ValueError, LookupError) as error:
        problems.append(Problem("bad_entry", file.name, str(error)))
        return None


def _image(file: Path, root: ET.Element, problems: list[Problem]) -> ImageEntry:
    name = (root.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    said = [root.findtext(f"size/{key}") or "" for key in ("width", "height")]
    sizes = [_float(text) for text in said]
    if not all(0 < size < np.inf for size in sizes):
        problems.append(Problem("bad_size", name, " x ".join(map(repr, said))))
        sizes = [0.0, 0.0]
    return ImageEntry(str(file), name, sizes[0], sizes[1])


def _float(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return -1.0


def _corners(thing: ET.Element, where: str, problems: list[Problem]) -> list[float] | None:
    texts = [thing.findtext(f"bndbox/{key}") for key in _CORNERS]
    try:
        return [float(text or "") for text in texts]
    except ValueError:
        problems.append(Problem("bad_entry", where, f"bndbox {texts}"))
        return None


def _hard(thing: ET.Element) -> bool:
    return (thing.findtext("difficult") or "0").strip() == "1"


def _of_known_class(
    found: list[Any], names: Sequence[str], images: Sequence[ImageEntry], problems: list[Problem]
) -> list[Any]:
    for row in found:
        if row[2] not in names:
            where = f"{images[row[0]].file_name} object {row[1]}"
            problems.append(Problem("unknown_category", where, repr(row[2])))
    return [row for row in found if row[2] in names]


def _from_zero(raw: Floats, offset: int) -> Floats:
    """Take the offset from the smaller of each pair, so that reversed corners stay reversed."""
    first = raw[:, :2] - offset * (raw[:, :2] <= raw[:, 2:])
    second = raw[:, 2:] - offset * (raw[:, :2] > raw[:, 2:])
    return np.concatenate([first, second], 1)


def write(annotations: Annotations, repaired: Repaired, touched: Any, out: Path) -> None:
    """Write a folder of xml files; those without a finding are copied byte by byte."""
    base = annotations.source if annotations.source.is_dir() else annotations.source.parent
    changed = set(np.asarray(touched).tolist())
    kept = dict(zip(repaired.index.tolist(), range(len(repaired.index))))
    out.mkdir(parents=True, exist_ok=True)
    of_image: dict[int, list[int]] = {}
    for row, image in enumerate(annotations.image.tolist()):
        of_image.setdefault(image, []).append(row)
    for number, file in enumerate(annotations.origin["files"]):
        target = out / file.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        tree = ET.parse(file)
        if _rewrite(tree, annotations, number, of_image.get(number, []), changed, kept, repaired):
            ET.indent(tree)
            tree.write(target, encoding="utf-8")
        else:
            shutil.copyfile(file, target)


def _rewrite(
    tree: Any,
    annotations: Annotations,
    number: int,
    rows: Sequence[int],
    changed: set[int],
    kept: dict[int, int],
    repaired: Repaired,
) -> bool:
    """Put the repairs of one image into its tree; says whether there were any."""
    root, offset = tree.getroot(), annotations.origin["offset"]
    things = root.findall("object")
    at = {int(annotations.rows[row]): row for row in rows}
    touched = _resize(root, annotations.images[number])
    for place, thing in enumerate(things):
        row = at.get(place)
        if row is None or row not in kept:
            root.remove(thing)
            touched = True
        elif row in changed:
            _put(thing, repaired, kept[row], offset)
            touched = True
    return touched


def _resize(root: Any, image: ImageEntry) -> bool:
    """Set the size that the file turned out to have; says whether it was another."""
    said = [_float(root.findtext(f"size/{key}")) for key in ("width", "height")]
    if not image.width or said == [image.width, image.height]:
        return False
    size = root.find("size")
    size = ET.SubElement(root, "size") if size is None else size
    for key, value in (("width", image.width), ("height", image.height)):
        part = size.find(key)
        (ET.SubElement(size, key) if part is None else part).text = str(int(value))
    return True


def _put(thing: Any, repaired: Repaired, place: int, offset: int) -> None:
    box = repaired.boxes[place] + np.array([offset, offset, 0, 0])
    for key, value in zip(_CORNERS, box.tolist()):
        rounded = round(value, 4)
        text = str(int(rounded) if rounded == int(rounded) else rounded)
        thing.find(f"bndbox/{key}").text = text
    if repaired.ignore[place]:
        mark = thing.find("difficult")
        (ET.SubElement(thing, "difficult") if mark is None else mark).text = "1"

"""YOLO label files to objects and back: one text file an image, one line an object.

A line is ``class cx cy w h`` or ``class x1 y1 x2 y2 x3 y3 …`` (a polygon), all shares of the
image's sides. So the images' sizes are needed; an image that is not found counts as 1000 x 1000.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from loopwright.vision.boxes import Repaired
from loopwright.vision.images import files_below, image_files
from loopwright.vision.objects import Annotations, ImageEntry, Problem
from loopwright.vision.policy import AnnotationError

_NAMES = ("classes.txt", "obj.names", "names.txt")
NOMINAL = 1000.0
_MOST_BYTES = 1_000_000
_MOST_NAMES = 100_000
_Line = tuple[int, int, int, list[float], tuple[float, ...] | None]


def _label_files(folder: Path) -> list[Path]:
    files = (file for file in files_below(folder) if file.suffix.lower() == ".txt")
    return sorted(file for file in files if file.name not in _NAMES)


def read(
    path: str | Path, *, images: str | Path | None = None, classes: Sequence[str] | None = None
) -> Annotations:
    """Read a folder of label files. Class names come from ``data.yaml`` or ``classes.txt`` beside.

    ``images`` defaults to the folder of that name beside ``labels``. Raises AnnotationError where
    there is no label file.
    """
    source = Path(path)
    files = _label_files(source)
    if not source.is_dir() or not files:
        raise AnnotationError(f"no label files (*.txt) in {source}")
    folder = Path(images) if images is not None else _beside(source)
    named = {Path(n).with_suffix("").as_posix(): n for n in image_files(folder)} if folder else {}
    entries: list[ImageEntry] = []
    problems: list[Problem] = []
    lines: list[_Line] = []
    for number, file in enumerate(files):
        stem = file.relative_to(source).with_suffix("").as_posix()
        name = named.get(stem, f"{stem}.jpg")
        width, height = _size(folder / name) if folder and stem in named else (NOMINAL, NOMINAL)
        entries.append(ImageEntry(stem, name, width, height))
        lines += _lines(file, number, problems)
    names = list(classes) if classes is not None else _names(source)
    if names:
        lines = _of_known_class(lines, names, files, problems)
    else:
        names = [str(number) for number in range(1 + max([row[2] for row in lines], default=-1))]
    return _assembled(source, files, entries, names, lines, problems, folder)


def _assembled(
    source: Path,
    files: list[Path],
    entries: list[ImageEntry],
    names: list[str],
    lines: list[_Line],
    problems: list[Problem],
    folder: Path | None,
) -> Annotations:
    raw = np.array([row[3] for row in lines], np.float64).reshape(-1, 4)
    image = np.array([row[0] for row in lines], np.int64)
    sides = np.array([(e.width, e.height) for e in entries], np.float64)[image].reshape(-1, 2)
    half = raw[:, 2:] / 2
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = np.concatenate([(raw[:, :2] - half) * sides, (raw[:, :2] + half) * sides], 1)
    frames = np.array([row[4] or (np.nan,) * 4 for row in lines], np.float64).reshape(-1, 4)
    lost = f"no image folder: boxes are measured as in images of {NOMINAL:g} x {NOMINAL:g}"
    return Annotations(
        kind="yolo",
        source=source,
        images=entries,
        classes=names,
        boxes=boxes,
        raw=raw,
        labels=np.array([row[2] for row in lines], np.int64),
        image=image,
        ids=[row[1] + 1 for row in lines],
        area=np.full(len(lines), np.nan),
        extent=frames * np.tile(sides, 2) if np.isfinite(frames).any() else None,
        crowd=np.zeros(len(lines), bool),
        rows=np.array([row[1] for row in lines], np.int64),
        origin={"files": files},
        read_as="cxcywh",
        problems=problems,
        notes=() if folder else (lost,),
    )


def _beside(source: Path) -> Path | None:
    """The images folder of the usual layout: ``images`` in place of ``labels``, else beside."""
    parts = list(source.resolve().parts)
    if "labels" in parts:
        at = len(parts) - 1 - parts[::-1].index("labels")
        candidate = Path(*parts[:at], "images", *parts[at + 1 :])
        if candidate.is_dir():
            return candidate
    return source if image_files(source) else None


def _names(source: Path) -> list[str]:
    for folder in (source, *source.resolve().parents[:2]):
        for name in _NAMES:
            if (folder / name).is_file():
                return _listed_names(folder / name)
        if (folder / "data.yaml").is_file():
            return _yaml_names(folder / "data.yaml")
    return []


def _listed_names(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except ValueError as error:
        raise AnnotationError(f"{file} is not in UTF-8: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def _of_known_class(
    lines: Sequence[_Line], names: Sequence[str], files: Sequence[Path], problems: list[Problem]
) -> list[_Line]:
    """The lines whose class has a name; the others are listed."""
    for image, line, label, _, _ in lines:
        if label >= len(names):
            where = f"{files[image].name}:{line + 1}"
            problems.append(Problem("unknown_category", where, f"class {label} of {len(names)}"))
    return [row for row in lines if row[2] < len(names)]


def _yaml_names(file: Path) -> list[str]:
    """``names`` of a data.yaml: a list, or a dict of number to name; only plain ones are taken."""
    try:
        found = yaml.safe_load(file.read_bytes()[:_MOST_BYTES])
    except yaml.YAMLError as error:
        raise AnnotationError(f"{file} is not readable as YAML: {error}") from error
    names = found.get("names", []) if isinstance(found, dict) else []
    if isinstance(names, dict) and all(type(n) is int and 0 <= n < _MOST_NAMES for n in names):
        names = [names.get(number, str(number)) for number in range(1 + max(names, default=-1))]
    if not isinstance(names, list) or not all(isinstance(n, str | int) for n in names):
        raise AnnotationError(f"{file}: names must be a list of names, or a number for each")
    return list(map(str, names))


def _size(file: Path) -> tuple[float, float]:
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.size
    except Exception:  # Pillow raises many kinds; what is wrong with it an audit of files tells
        return (NOMINAL, NOMINAL)


def _lines(file: Path, image: int, problems: list[Problem]) -> list[_Line]:
    found = []
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines()):
        words = line.split()
        if not words:
            continue
        try:
            row = _object(words, image, number)
        except ValueError:
            problems.append(Problem("bad_entry", f"{file.name}:{number + 1}", line[:80]))
            continue
        found.append(row)
    return found


def _object(words: list[str], image: int, number: int) -> _Line:
    """One line's object. Raises ValueError for a line that is none."""
    label, values = _class(words[0]), [float(word) for word in words[1:]]
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise ValueError(words)
    if len(values) == 4:
        return image, number, label, values, None
    points = np.array(values).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return image, number, label, box, (left, top, right, bottom)


def _class(word: str) -> int:
    """A class's number; tools that store tables of floats write it as 3.0."""
    number = float(word)
    if not 0 <= number < _MOST_NAMES or number != int(number):
        raise ValueError(word)
    return int(number)


def write(annotations: Annotations, repaired: Repaired, touched: Any, out: Path) -> None:
    """Write a folder of label files; lines without a finding stay as they are."""
    changed = set(np.asarray(touched).tolist())
    kept = dict(zip(repaired.index.tolist(), range(len(repaired.index))))
    at = {
        (image, line): row
        for row, (image, line) in enumerate(
            zip(annotations.image.tolist(), annotations.rows.tolist())
        )
    }
    out.mkdir(parents=True, exist_ok=True)
    for name in _NAMES:
        if (annotations.source / name).is_file():
            shutil.copyfile(annotations.source / name, out / name)
    for number, file in enumerate(annotations.origin["files"]):
        target = out / file.relative_to(annotations.source)
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        for place, line in enumerate(text.splitlines()):
            row = at.get((number, place))
            if row in kept:
                fixed = row in changed
                lines.append(_line(annotations, repaired, kept[row], line) if fixed else line)
        target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _line(annotations: Annotations, repaired: Repaired, place: int, line: str) -> str:
    """The repaired line: a box anew, a polygon with its points moved to the border."""
    label, *words = line.split()
    if len(words) > 4:
        values = np.clip([float(word) for word in words], 0, 1).tolist()
        return " ".join([label, *(f"{value:.8g}" for value in values)])
    row = int(repaired.index[place])
    image = annotations.images[int(annotations.image[row])]
    left, top, right, bottom = repaired.boxes[place] / np.tile([image.width, image.height], 2)
    values = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return " ".join([label, *(f"{value:.8g}" for value in values)])

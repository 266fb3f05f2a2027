"""Annotations read, audited and repaired as a whole: boxes, classes, ids, image files, format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.core.nearest import did_you_mean
from loopwright.vision import coco, voc, yolo
from loopwright.vision.boxes import Repaired, check_budget, repair
from loopwright.vision.images import PathError, Probe, confine, files_below, image_files, probe
from loopwright.vision.objects import Annotations, ImageEntry, Ints, Problem, no_collection
from loopwright.vision.policy import AnnotationError, Policy, policy_of
from loopwright.vision.suspicion import Suspicion, suspect

KINDS = ("coco", "voc", "yolo")


def kind_of(path: str | Path) -> str:
    """Which format a file or folder is in. Raises AnnotationError where it cannot be told."""
    source = Path(path)
    if not source.exists():
        beside = os.listdir(source.parent) if source.parent.is_dir() else ()
        hint = did_you_mean(source.name, beside)
        raise AnnotationError(f"there is no {source}{hint}")
    suffixes = [source] if source.is_file() else files_below(source)
    for found in suffixes:
        kind = {".json": "coco", ".xml": "voc", ".txt": "yolo"}.get(found.suffix.lower())
        if kind is not None and (kind != "coco" or source.is_file()):
            return kind
    inside = sorted(str(path) for path in source.glob("*.json")) if source.is_dir() else []
    hint = f"; it holds {', '.join(inside[:3])}: give the file" if inside else ""
    raise AnnotationError(f"{source} is no COCO json, VOC xml or YOLO label folder{hint}")


def read(
    path: str | Path,
    *,
    kind: str | None = None,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    offset: int = 1,
) -> Annotations:
    """Read annotations of any known format; ``offset`` is where VOC counts pixels from.

    ``classes`` gives the classes their order; in COCO it only names the ones to look for.
    """
    kind = kind or kind_of(path)
    if kind == "coco":
        return coco.read(path)
    if kind == "voc":
        return voc.read(path, offset=offset, classes=classes)
    if kind == "yolo":
        return yolo.read(path, images=images, classes=classes)
    raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


@dataclass(frozen=True)
class Audit:
    """Annotations, what was found in them and what the policy makes of it."""

    annotations: Annotations
    policy: Policy
    repaired: Repaired
    problems: Sequence[Problem]
    suspicions: Sequence[Suspicion]

    def __bool__(self) -> bool:
        """Whether anything was found that ``strict`` does not let pass."""
        return bool(self.repaired.findings) or bool(self.suspicions) or bool(self.faults)

    @property
    def faults(self) -> list[Problem]:
        """The problems that are not merely worth knowing."""
        return [p for p in self.problems if p.cause not in ("unused_class", "extra_image")]

    def table(self) -> dict[str, dict[str, int]]:
        """Cause to action to count, boxes first."""
        counted = self.repaired.findings.table()
        for problem, count in Counter((p.cause, p.action) for p in self.problems).items():
            counted.setdefault(problem[0], {})[problem[1]] = count
        return counted

    def touched(self) -> Ints:
        """Rows that a repair changed, in order."""
        found = self.repaired.findings
        changing = [rows for c, rows in found.rows.items() if found.actions[c] != "keep"]
        return np.unique(np.concatenate(changing)) if changing else np.zeros(0, np.int64)

    def worst(self, count: int = 20) -> list[tuple[int, list[tuple[int, list[str]]]]]:
        """Images with most findings: each an image number and its rows with their causes."""
        causes: dict[int, list[str]] = {}
        for cause, rows in self.repaired.findings.rows.items():
            for row in rows.tolist():
                causes.setdefault(row, []).append(cause)
        of_image: dict[int, list[tuple[int, list[str]]]] = {}
        for row in sorted(causes):
            of_image.setdefault(int(self.annotations.image[row]), []).append((row, causes[row]))
        return sorted(of_image.items(), key=lambda item: (-len(item[1]), item[0]))[:count]

    def class_counts(self) -> dict[str, tuple[int, int]]:
        """Class to the number of objects before and after."""
        names, labels = self.annotations.classes, self.annotations.labels
        before = np.bincount(labels, minlength=len(names)).tolist()
        after = np.bincount(labels[self.repaired.index], minlength=len(names)).tolist()
        counts = dict.fromkeys(names, (0, 0))
        for name, b, a in zip(names, before, after):  # two categories can have one name
            counts[name] = (counts[name][0] + b, counts[name][1] + a)
        return counts

    def images_without_objects(self) -> int:
        return len(self.annotations.images) - len(np.unique(self.annotations.image))

    def check(self) -> None:
        """Raises AnnotationError for a wrong format or a budget that is overdrawn."""
        wrong = [s.message for s in self.suspicions if not s.hint]
        if wrong and self.policy.suspicion == "error":
            raise AnnotationError(
                f"{self.annotations.source}: the format looks wrong: {'; '.join(wrong)}. "
                "Set suspicion='warn' if it is right"
            )
        lost = ("bad_entry", "unknown_category", "unknown_image")
        unreadable = Counter(p.cause for p in self.problems if p.cause in lost)
        check_budget(self.repaired.findings, self.policy, unreadable)


def audit(
    annotations: Annotations,
    policy: Any = None,
    *,
    images: str | Path | None = None,
    classes: Iterable[str] = (),
) -> Audit:
    """Look at everything and repair the boxes in memory; nothing is written.

    ``images`` is the folder of the image files, which are then decoded once; ``classes`` are names
    that must be among the categories. Raises AnnotationError where the policy says error for a
    cause that was found; ``Audit.check`` says whether format and budget pass.
    """
    policy = policy_of(policy)
    problems = [*annotations.problems, *_classes(annotations, classes)]
    if images is not None:
        annotations, found = _with_files(annotations, Path(images))
        problems += found
    with no_collection():
        done = _repaired(annotations, policy)
        return Audit(annotations, policy, done, problems, suspect(annotations))


def _repaired(annotations: Annotations, policy: Policy) -> Repaired:
    """The repair of all boxes; an image without a size has no far border."""
    sizes = annotations.sizes[annotations.image].reshape(-1, 2)
    return repair(
        annotations.boxes,
        np.where(sizes > 0, sizes, np.inf),
        policy,
        labels=annotations.labels,
        image=annotations.image,
        area=annotations.area,
        extent=annotations.extent,
        mask_area=annotations.mask_area,
        name=annotations.name,
    )


def _classes(annotations: Annotations, wanted: Iterable[str]) -> list[Problem]:
    problems = []
    for name in wanted:
        if name not in annotations.classes:
            near = get_close_matches(name, annotations.classes, 1)
            hint = f"nearest is {near[0]!r}" if near else ""
            problems.append(Problem("unmatched_class", repr(name), hint))
    used = np.bincount(annotations.labels, minlength=len(annotations.classes))
    unused = [name for name, count in zip(annotations.classes, used.tolist()) if not count]
    return problems + [Problem("unused_class", repr(name)) for name in unused]


def _with_files(annotations: Annotations, folder: Path) -> tuple[Annotations, list[Problem]]:
    """Compare the entries with the files; gives the annotations with the files' sizes."""
    problems: list[Problem] = []
    paths: list[Path | None] = []
    for entry in annotations.images:
        try:
            paths.append(confine(folder, entry.file_name))
        except PathError as error:
            paths.append(None)
            problems.append(Problem("path_outside", entry.file_name, str(error)))
    with ThreadPoolExecutor(2) as pool:
        probes = list(pool.map(lambda p: probe(p) if p and os.path.isfile(p) else None, paths))
    images = []
    for entry, path, found in zip(annotations.images, paths, probes):
        if path is not None and found is None:
            problems.append(Problem("missing_image", entry.file_name))
        images.append(_compared(entry, found, problems) if found else entry)
    listed = {entry.file_name for entry in images}
    extra = [name for name in image_files(folder) if name not in listed]
    problems += [Problem("extra_image", name) for name in extra]
    return replace(annotations, images=images), problems


def _compared(entry: ImageEntry, found: Probe, problems: list[Problem]) -> ImageEntry:
    if found.fault:
        problems.append(Problem("unreadable_image", entry.file_name, found.fault))
        return entry
    told = (entry.width, entry.height)
    real = (float(found.width), float(found.height))
    if told == real or (found.turned and told == real[::-1]):
        return entry
    if told != (0, 0):
        said = f"stated {told[0]:g} x {told[1]:g}, is {found.width} x {found.height}"
        problems.append(Problem("wrong_size", entry.file_name, said))
    return entry._replace(width=real[0], height=real[1])


def write(found: Audit, out: str | Path) -> Path:
    """Write the repaired annotations in their own format: a file for COCO, else a folder.

    Raises AnnotationError where ``out`` is, or lies in, what was read, or is there already.
    """
    target, source = Path(out), found.annotations.source
    refuse_output(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = {"coco": coco.write, "voc": voc.write, "yolo": yolo.write}[found.annotations.kind]
    writer(found.annotations, found.repaired, found.touched(), target)
    return target


def refuse_output(source: Path, target: Path) -> None:
    """Raises AnnotationError where annotations cannot be written to ``target``."""
    refuse_input(source, target)
    if target.is_file():
        raise AnnotationError(f"{target} is there already; give a new name")


def refuse_input(source: Path, target: Path) -> None:
    """Raises AnnotationError where writing ``target`` would touch ``source``."""
    here, there = source.resolve(), target.resolve()
    inside = source.is_dir() and there.is_relative_to(here)
    if inside or there == here or here.is_relative_to(there):
        raise AnnotationError(f"{target} would overwrite or mix with the input {source}")
    if target.is_file() and source.is_file() and target.samefile(source):
        raise AnnotationError(f"{target} is the input {source} under another name")
    if target.is_dir() and any(target.iterdir()):
        raise AnnotationError(f"{target} is not empty; give a new folder")

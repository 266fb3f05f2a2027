"""Datasets of image files with boxes or masks: repaired by policy, broken files found first."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.core.nearest import nearest_or_all
from loopwright.data import BaseDataset
from loopwright.registry import DATASETS
from loopwright.vision.annotations import Audit, audit, read
from loopwright.vision.images import Probe, confine, image_files, probe
from loopwright.vision.masks import RunLengths
from loopwright.vision.policy import AnnotationError, policy_of

_LOGGER = logging.getLogger("loopwright.vision")
_BROKEN = ("error", "drop", "keep")
Info = dict[str, Any]


def whole_images(infos: Sequence[Info], broken: str, key: str = "img_path") -> list[Info]:
    """The samples whose image files are there and whole, by a look at each file's head and end.

    ``broken`` 'error' raises AnnotationError naming the first, 'drop' leaves them out and logs each
    once, 'keep' does not look.
    """
    if broken not in _BROKEN:
        raise ValueError(f"broken_images must be one of {', '.join(_BROKEN)}, got {broken!r}")
    if broken == "keep":
        return list(infos)
    with ThreadPoolExecutor(2) as pool:
        probes = list(pool.map(lambda info: _looked_at(info[key]), infos))
    faults = [probe.fault for probe in probes]
    bad = [f"{info[key]}: {fault}" for info, fault in zip(infos, faults) if fault]
    if bad and broken == "error":
        raise AnnotationError(
            f"{len(bad)} of {len(infos)} images are missing or broken: {'; '.join(bad[:5])}"
            f"{' …' if bad[5:] else ''}. Set broken_images='drop' to train without them"
        )
    for told in bad:
        _LOGGER.warning("left out a broken image: %s", told)
    whole = [(info, found) for info, found in zip(infos, probes) if not found.fault]
    _compare_sizes(whole)
    return [info for info, _ in whole]


def _compare_sizes(whole: Sequence[tuple[Info, Probe]]) -> None:
    """Warn of images that are read, turned by EXIF, in another size than their boxes are for."""
    odd = []
    for info, found in whole:
        told = (info.get("width") or 0, info.get("height") or 0)
        read = (found.height, found.width) if found.turned else (found.width, found.height)
        if all(told) and told != read:
            said = f"{told[0]} x {told[1]}, is read as {read[0]} x {read[1]}"
            odd.append(f"{info['img_path']}: annotated {said}{' (EXIF)' if found.turned else ''}")
    if odd:
        _LOGGER.warning(
            "%d of %d images have another size than annotated, so their boxes may lie wrong: %s%s",
            len(odd),
            len(whole),
            "; ".join(odd[:3]),
            " …" if odd[3:] else "",
        )


def _looked_at(path: str) -> Probe:
    if os.path.isfile(path):
        return probe(path, decode=False)
    fault = "there is no such file"
    if os.path.islink(path):
        fault = f"a link to {os.readlink(path)}, where there is no file"
    return Probe(0, 0, False, fault)


@DATASETS.register_module()
class BoxDataset(BaseDataset):
    """Images with boxes from a COCO json, VOC xml or YOLO folder, repaired when loaded.

    ``policy`` is that of ``loopwright.vision.policy``; ``findings`` then holds cause, action and
    count. A format that looks wrong, too many drops or broken images stop it here, before the first
    step, unless the policy or ``broken_images`` says otherwise; ``policy=None`` with
    ``repair=False`` takes the boxes as they are, as an evaluation against the raw file needs. Links
    on the disk are followed; a file name that leads out of the image folder by itself (``..``,
    another absolute path) is refused unless ``outside_files``.
    ``classes`` in ``metainfo`` choose and order the classes. A sample has ``img_path``, ``img_id``,
    ``width``, ``height`` and ``instances``; ``filter_cfg`` knows ``filter_empty_gt`` and
    ``min_size``.
    """

    kind: str | None = None

    def __init__(
        self,
        ann_file: str = "",
        *,
        policy: Mapping[str, Any] | None = None,
        repair: bool = True,
        broken_images: str = "error",
        voc_offset: int = 1,
        outside_files: bool = False,
        **kwargs: Any,
    ) -> None:
        self.outside_files = outside_files
        self.policy = policy_of(policy)
        self.repair = repair
        self.broken_images = broken_images
        self.voc_offset = voc_offset
        self.findings: dict[str, dict[str, int]] = {}
        super().__init__(ann_file, **kwargs)

    @property
    def folder(self) -> str:
        """Where the image files are."""
        return str(self.data_prefix.get("img", self.data_prefix.get("img_path", "")))

    def load_data_list(self) -> list[Info]:
        """Read, audit and repair. Raises AnnotationError for what the policy does not let pass."""
        wanted = self._metainfo.get("classes")
        annotations = read(
            self.ann_file, kind=self.kind, images=self.folder or None, offset=self.voc_offset
        )
        number = _numbers(annotations.classes, wanted, self.ann_file)
        self._metainfo.setdefault("classes", tuple(annotations.classes))
        found = audit(annotations, self.policy if self.repair else None)
        if self.repair:
            found.check()
            self.findings = found.table()
            for cause, actions in self.findings.items():
                _LOGGER.warning("%s: %s %s", self.ann_file, cause, actions)
        return whole_images(self._infos(found, number), self.broken_images)

    def _infos(self, found: Audit, number: Mapping[int, int]) -> list[Info]:
        annotations = found.annotations
        infos = [
            {
                "img_path": self._path(entry.file_name),
                "img_id": entry.id,
                "width": int(entry.width),
                "height": int(entry.height),
                "instances": [],
            }
            for entry in annotations.images
        ]
        rows, boxes, ignore = self._rows(found)
        for row, box, ignored in zip(rows, boxes, ignore):
            label = number.get(int(annotations.labels[row]))
            if label is not None:
                crowd = bool(ignored or annotations.crowd[row])
                instance = {"bbox": box, "bbox_label": label, "ignore_flag": int(crowd)}
                instance |= _more(annotations, int(row))
                infos[int(annotations.image[row])]["instances"].append(instance)
        return infos

    def _path(self, name: str) -> str:
        return str(confine(self.folder or ".", name, outside=self.outside_files))

    def _rows(self, found: Audit) -> tuple[Any, Any, Any]:
        if self.repair:
            done = found.repaired
            return done.index, done.boxes.tolist(), done.ignore
        boxes = found.annotations.boxes
        return np.arange(len(boxes)), boxes.tolist(), np.zeros(len(boxes), bool)

    def get_data_info(self, idx: int) -> Info:
        """The annotation of one image; run lengths of masks become arrays where asked for."""
        info = super().get_data_info(idx)
        for instance in info["instances"]:
            if isinstance(instance.get("mask"), dict):
                instance["mask"] = RunLengths(instance["mask"])
        return info

    def filter_data(self) -> list[Info]:
        """Without images of no object or a side under ``min_size``, if so asked; not in test."""
        rules = self.filter_cfg or {}
        if self.test_mode or not rules:
            return self.data_list
        least = rules.get("min_size", 0)
        return [
            info
            for info in self.data_list
            if (info["instances"] or not rules.get("filter_empty_gt"))
            and min(info["width"], info["height"]) >= least
        ]

    def get_cat_ids(self, idx: int) -> list[int]:
        """The classes in one image, for class-balanced sampling."""
        return [instance["bbox_label"] for instance in self.get_data_info(idx)["instances"]]


def _numbers(there: Sequence[str], wanted: Any, where: str) -> dict[int, int]:
    """From a class's place in the file to its label. Raises AnnotationError for an unknown name."""
    if wanted is None:
        return {place: place for place in range(len(there))}
    for name in wanted:
        if name not in there:
            hint = nearest_or_all(name, there)
            raise AnnotationError(f"metainfo.classes: no {name!r} in {where}{hint}")
    label_of = {name: label for label, name in enumerate(wanted)}
    return {place: label_of[name] for place, name in enumerate(there) if name in label_of}


def _more(annotations: Any, row: int) -> Info:
    """Mask, where it can be read, and keypoints of a COCO object, where it has them."""
    if annotations.kind != "coco":
        return {}
    entry = annotations.origin["annotations"][int(annotations.rows[row])]
    more: Info = {}
    if annotations.extent is not None and np.isfinite(annotations.extent[row]).all():
        more["mask"] = entry["segmentation"]
    if isinstance(entry.get("keypoints"), list):
        more["keypoints"] = entry["keypoints"]
    return more


@DATASETS.register_module()
class CocoDataset(BoxDataset):
    """``BoxDataset`` of a COCO json."""

    kind = "coco"


@DATASETS.register_module(name=["VOCDataset", "XMLDataset"])
class VOCDataset(BoxDataset):
    """``BoxDataset`` of a folder of VOC xml files; ``voc_offset`` is where its pixels start."""

    kind = "voc"


@DATASETS.register_module()
class YoloDataset(BoxDataset):
    """``BoxDataset`` of a folder of YOLO label files."""

    kind = "yolo"


@DATASETS.register_module(name=["SegFolder", "BaseSegDataset"])
class SegFolder(BaseDataset):
    """Images and their masks from two folders, paired by name; ``ann_file`` may list the names.

    ``data_prefix`` has ``img_path`` and ``seg_map_path``. A sample has both paths.
    """

    def __init__(
        self,
        ann_file: str = "",
        *,
        img_suffix: str = ".jpg",
        seg_map_suffix: str = ".png",
        reduce_zero_label: bool = False,
        broken_images: str = "error",
        outside_files: bool = False,
        **kwargs: Any,
    ) -> None:
        self.outside_files = outside_files
        self.img_suffix, self.seg_map_suffix = img_suffix, seg_map_suffix
        self.reduce_zero_label = reduce_zero_label
        self.broken_images = broken_images
        super().__init__(ann_file, **kwargs)

    def load_data_list(self) -> list[Info]:
        """Pairs of paths. Raises AnnotationError for an image without a mask."""
        images = self.data_prefix["img_path"]
        masks = self.data_prefix.get("seg_map_path")
        infos = []
        for name in self._names(images):
            info: Info = {
                "img_path": self._path(images, name + self.img_suffix),
                "reduce_zero_label": self.reduce_zero_label,
                "seg_fields": [],
            }
            if masks is not None:
                info["seg_map_path"] = self._path(masks, name + self.seg_map_suffix)
            infos.append(info)
        kept = whole_images(infos, self.broken_images)
        return whole_images(kept, self.broken_images, "seg_map_path") if masks else kept

    def _path(self, folder: str, name: str) -> str:
        return str(confine(folder, name, outside=self.outside_files))

    def _names(self, folder: str) -> list[str]:
        if self.ann_file and Path(self.ann_file).is_file():
            lines = Path(self.ann_file).read_text(encoding="utf-8-sig").splitlines()
            return [line.strip() for line in lines if line.strip()]
        end = self.img_suffix
        return [name.removesuffix(end) for name in image_files(folder) if name.endswith(end)]

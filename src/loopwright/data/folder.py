"""A classification dataset from a folder of one folder a class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loopwright.data.dataset import BaseDataset, Info
from loopwright.data.faults import DataError
from loopwright.registry import DATASETS

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@DATASETS.register_module(name=["ImageFolder", "ImageFolderDataset", "CustomDataset"])
class ImageFolder(BaseDataset):
    """Images in ``data_root/data_prefix/<class>/...``; classes are sorted, or as in metainfo.

    With an ``ann_file`` its lines ``path label`` say the samples instead. A sample has ``img_path``
    and ``gt_label``.
    """

    def __init__(
        self,
        data_root: str = "",
        data_prefix: str | Mapping[str, str] = "",
        ann_file: str = "",
        extensions: Sequence[str] = IMAGES,
        metainfo: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.extensions = tuple(extensions)
        prefix = {"img_path": data_prefix} if isinstance(data_prefix, str) else data_prefix
        if classes is not None:
            metainfo = {**(metainfo or {}), "classes": tuple(classes)}
        super().__init__(
            ann_file, metainfo=metainfo, data_root=data_root, data_prefix=prefix, **kwargs
        )

    @property
    def folder(self) -> Path:
        return Path(self.data_prefix.get("img_path", ""))

    def load_data_list(self) -> list[Info]:
        """Image paths and labels, in the order of their names."""
        if self.ann_file:
            return self._listed()
        if not self.folder.is_dir():
            raise DataError(f"{self.folder} is no folder of class folders")
        found = sorted(entry.name for entry in os.scandir(self.folder) if entry.is_dir())
        classes = list(self._metainfo.setdefault("classes", tuple(found)))
        missing = [name for name in classes if name not in found]
        if missing:
            raise DataError(f"{self.folder} has no folder for {', '.join(missing)}")
        return [
            {"img_path": path, "gt_label": label}
            for label, name in enumerate(classes)
            for path in sorted(_files(str(self.folder / name), self.extensions))
        ]

    def _listed(self) -> list[Info]:
        infos: list[Info] = []
        for line in Path(self.ann_file).read_text(encoding="utf-8-sig").splitlines():
            if line.strip():
                name, _, label = line.strip().rpartition(" ")
                infos.append({"img_path": str(self.folder / name), "gt_label": int(label)})
        return infos

    def get_cat_ids(self, idx: int) -> list[int]:
        """The class of one sample, as a list."""
        return [int(self.get_data_info(idx)["gt_label"])]


def _files(folder: str, extensions: tuple[str, ...]) -> Iterator[str]:
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            if name.lower().endswith(extensions):
                yield os.path.join(place, name)

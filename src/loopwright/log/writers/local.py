"""LocalWriter: scalars as JSON lines, images as PNG files, texts as files, in one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.jsonl import JSONLWriter
from loopwright.log.writers.tracker import optional

__all__ = ["LocalWriter"]

_UNSAFE = re.compile(r"[^\w\-.]+")


class LocalWriter:
    """`scalars.json` (JSON lines, beside it `timing.jsonl`) and `vis_image/NAME_ITER.png`."""

    def __init__(
        self,
        save_dir: str | os.PathLike[str],
        *,
        scalars: str = "scalars.json",
        images: str = "vis_image",
    ) -> None:
        self.folder = Path(save_dir)
        self.image_folder = self.folder / images
        self.scalars = JSONLWriter(self.folder / scalars)

    def write(self, record: LogRecord) -> None:
        """Append lines, save images."""
        if record.scalars or record.timing or record.points:
            self.scalars.write(record)
        for picture in record.images:
            self.log_image(picture.name, picture.array(), picture.iter)

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """Save one PNG; a name with odd characters or slashes becomes a plain file name."""
        library = optional("PIL.Image", "loopwright[vision]")
        self.image_folder.mkdir(parents=True, exist_ok=True)
        pixels = pixels[:, :, 0] if pixels.shape[-1] == 1 else pixels
        plain = _UNSAFE.sub("_", name).strip(".") or "image"
        library.fromarray(pixels).save(self.image_folder / f"{plain}_{iteration}.png")

    def log_text(self, name: str, text: str) -> None:
        """Save a text under the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / Path(name).name).write_text(text, encoding="utf-8")

    def close(self) -> None:
        """Close the files."""
        self.scalars.close()

    def state_dict(self) -> dict[str, Any]:
        """The lengths of the files."""
        return self.scalars.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the files to the lengths of the checkpoint."""
        self.scalars.load_state_dict(state)

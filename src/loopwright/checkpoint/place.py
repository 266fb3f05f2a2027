"""What a store needs of the place it writes to: a local folder or a remote one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO, Protocol

from loopwright.checkpoint.errors import Broken
from loopwright.checkpoint.hashing import HashedFile, Steady
from loopwright.checkpoint.local import LocalPlace
from loopwright.checkpoint.manifest import FileNote, Manifest
from loopwright.checkpoint.remote import RemotePlace
from loopwright.files import Disk

Where = Path | str


class Draft(Protocol):
    """A checkpoint that is being written and is none yet."""

    def file_name(self, name: str) -> str:
        """The name a file of the checkpoint gets here."""

    def open(
        self, name: str, *, pool: Executor, steady: Steady | None = None
    ) -> contextlib.AbstractContextManager[HashedFile]:
        """A new file, durable when the block ends."""

    def commit(self, manifest: bytes | None) -> None:
        """Make it a checkpoint, in one step; ``None`` for a single sealed file."""

    def abandon(self) -> None:
        """Remove what was written."""


class Place(Protocol):
    """Names, drafts and files of checkpoints."""

    def path(self, name: str) -> Where:
        """Where a checkpoint of this name lies."""

    def draft(self, name: str, need: int) -> Draft:
        """Begin a checkpoint of about ``need`` bytes."""

    def scan(self) -> Iterator[tuple[str, Where, Manifest | Broken]]:
        """Every checkpoint: name, where, its manifest or what is wrong."""

    def manifest(self, path: Where) -> Manifest:
        """The manifest of one checkpoint."""

    def open(self, path: Where, name: str, note: FileNote) -> BinaryIO:
        """One file of a checkpoint for reading, of the size noted."""

    def hint(self, name: str) -> None:
        """Note the last checkpoint's name in a text file."""

    def remove(self, path: Where) -> None:
        """Delete a checkpoint: its name at once, then its files."""

    def set_aside(self, path: Where) -> Where:
        """Rename a damaged checkpoint to ``bad_…``."""

    def sweep(self) -> list[str]:
        """Remove what killed saves left."""


def place_of(folder: str | os.PathLike[str], *, disk: Disk) -> Place:
    """A remote place for an address with a scheme (``s3://…``), else a local folder."""
    text = os.fspath(folder)
    if "://" in text and not text.startswith("file://"):
        return RemotePlace(text)
    return LocalPlace(Path(text.removeprefix("file://")), disk=disk)

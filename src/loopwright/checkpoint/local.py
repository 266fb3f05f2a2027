"""A local folder of checkpoints: drafts beside it, one rename to commit, nothing half visible."""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO

from loopwright.checkpoint.errors import Broken
from loopwright.checkpoint.hashing import HashedFile, Steady
from loopwright.checkpoint.manifest import (
    MANIFEST,
    STATE,
    FileNote,
    Manifest,
    manifest_of,
    open_noted,
)
from loopwright.checkpoint.sealed import SUFFIXES, looks_sealed, manifest_of_file
from loopwright.files import (
    Disk,
    atomic_write,
    check_space,
    open_regular,
    remove_tree,
    write_all,
    write_file,
)

HINT = "last_checkpoint"
LITTER = re.compile(r"\.(tmp|old|trash)-(?P<name>.+)-[0-9a-f]{8}")
logger = logging.getLogger("loopwright")


class LocalDraft:
    """A checkpoint being written under a temporary name; `commit` makes it one.

    Files first, each synced; then the manifest, the draft folder, the rename, the parent folder.
    """

    def __init__(self, home: Path, name: str, *, disk: Disk) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.home, self.name, self.disk = home, name, disk
        self.single = name.endswith(SUFFIXES)
        self.path = home / f".tmp-{name}-{self.id}"
        self.moved: Path | None = None
        if not self.single:
            disk.mkdir(self.path)

    def file_name(self, name: str) -> str:
        """The name a file gets; names here are free, for the folder is new."""
        return name

    @contextlib.contextmanager
    def open(
        self, name: str, *, pool: Executor, steady: Steady | None = None
    ) -> Iterator[HashedFile]:
        """A new file of the draft, hashed beside; on the device when the block ends."""
        fd = self.disk.create(self.path if self.single else self.path / name)
        try:
            file = HashedFile(lambda view: write_all(self.disk, fd, view), pool=pool, steady=steady)
            yield file
            file.check()
            self.disk.sync(fd)
        finally:
            self.disk.close(fd)

    def commit(self, manifest: bytes | None) -> None:
        """Give the draft its final name; an older one of that name steps aside first."""
        final = self.home / self.name
        if manifest is not None:
            write_file(self.disk, self.path / MANIFEST, [manifest])
            self.disk.sync_folder(self.path)
            self._step_aside(final)
        self.disk.rename(self.path, final)
        self.disk.sync_folder(self.home)
        if self.moved is not None:
            old, self.moved = self.moved, None
            with contextlib.suppress(OSError):
                remove_tree(self.disk, old)

    def _step_aside(self, final: Path) -> None:
        """Move an older folder of the same name away, durably, before its name is taken."""
        if not final.exists():
            return
        old = self.home / f".old-{self.name}-{self.id}"
        self.disk.rename(final, old)
        self.moved = old
        self.disk.sync_folder(self.home)

    def abandon(self) -> None:
        """Remove what was written; put the old one back where the new one did not come."""
        with contextlib.suppress(OSError):
            remove_tree(self.disk, self.path)
        if self.moved is not None and not (self.home / self.name).exists():
            with contextlib.suppress(OSError):
                self.disk.rename(self.moved, self.home / self.name)


class LocalPlace:
    """Names and checkpoints of one local folder."""

    def __init__(self, folder: str | Path, *, disk: Disk) -> None:
        self.folder = Path(folder)
        self.disk = disk

    def path(self, name: str) -> Path:
        """Where a checkpoint of this name lies."""
        return self.folder / name

    def draft(self, name: str, need: int) -> LocalDraft:
        """Begin a checkpoint of about ``need`` bytes; ``OSError`` when there is no room."""
        self.folder.mkdir(parents=True, exist_ok=True)
        check_space(self.folder, need, disk=self.disk)
        return LocalDraft(self.folder, name, disk=self.disk)

    def scan(self) -> Iterator[tuple[str, Path, Manifest | Broken]]:
        """Every checkpoint here: name, where it lies, its manifest or what is wrong with it."""
        if not self.folder.is_dir():
            return
        children = {child.name: child for child in sorted(self.folder.iterdir())}
        for name, child in children.items():
            litter = LITTER.fullmatch(name)
            if litter is None and not name.startswith((".", "bad_")):
                yield from _look(name, child)
            elif litter is not None and name.startswith(".old-"):
                original = litter["name"]
                if original not in children:
                    yield from _look(original, child)

    def manifest(self, path: Any) -> Manifest:
        """The manifest of one checkpoint; `Broken` when it cannot be trusted."""
        return manifest_of(path) if path.is_dir() else manifest_of_file(path)

    def open(self, path: Any, name: str, note: FileNote) -> BinaryIO:
        """One file of a checkpoint for reading, of the size noted; `Broken` otherwise."""
        return open_noted(path / name, note) if path.is_dir() else open_regular(path)

    def hint(self, name: str) -> None:
        """Say in a text file which checkpoint is the last; only ever a hint."""
        atomic_write(self.folder / HINT, name, disk=self.disk)

    def remove(self, path: Any) -> None:
        """Take a checkpoint's name away at once and durably, then its files."""
        trash = self.folder / f".trash-{path.name}-{uuid.uuid4().hex[:8]}"
        self.disk.rename(path, trash)
        self.disk.sync_folder(self.folder)
        remove_tree(self.disk, trash)

    def set_aside(self, path: Any) -> Path:
        """Rename a damaged checkpoint to ``bad_…`` and say so; its new path."""
        original = LITTER.fullmatch(path.name)
        stem = f"bad_{original['name'] if original else path.name}"
        target, count = self.folder / stem, 2
        while target.exists():
            target, count = self.folder / f"{stem}.{count}", count + 1
        self.disk.rename(path, target)
        self.disk.sync_folder(self.folder)
        return target

    def sweep(self) -> list[str]:
        """Remove what a killed save left; put back what it had moved. What was found, by name."""
        if not self.folder.is_dir():
            return []
        found = [child for child in self.folder.iterdir() if LITTER.fullmatch(child.name)]
        for child in found:
            match = LITTER.fullmatch(child.name)
            home = self.folder / match["name"] if match else child
            if child.name.startswith(".old-") and not home.exists():
                self.disk.rename(child, home)
            else:
                remove_tree(self.disk, child)
        if found:
            self.disk.sync_folder(self.folder)
        return sorted(child.name for child in found)


def _look(name: str, child: Path) -> Iterator[tuple[str, Path, Manifest | Broken]]:
    """One child of the folder, if it is a checkpoint (links are never followed)."""
    if child.is_symlink():
        return
    if child.is_dir():
        ours = (child / MANIFEST).exists() or (child / STATE).exists()
    else:
        ours = name.endswith(SUFFIXES) and looks_sealed(child)
    if not ours:
        return
    try:
        yield name, child, manifest_of(child) if child.is_dir() else manifest_of_file(child)
    except Broken as error:
        yield name, child, error

"""Checkpoints at an fsspec address: every file under a new name, the manifest's upload commits.

Object stores have no rename in one step, but putting one object is: until the manifest is there
a save is none, and a manifest put over an old one switches from the old files to the new.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, BinaryIO

from loopwright.checkpoint.errors import Broken, CheckpointError
from loopwright.checkpoint.hashing import HashedFile, Steady
from loopwright.checkpoint.manifest import MANIFEST, FileNote, Manifest, read_manifest
from loopwright.checkpoint.sealed import SUFFIXES

HINT = "last_checkpoint"
logger = logging.getLogger("loopwright")


class RemoteDraft:
    """Files of one save, each under a name no other save uses."""

    def __init__(self, fs: Any, home: str, name: str) -> None:
        self.fs, self.id = fs, uuid.uuid4().hex[:8]
        self.folder = f"{home}/{name}"
        self.written: list[str] = []
        fs.makedirs(self.folder, exist_ok=True)

    def file_name(self, name: str) -> str:
        """``model.safetensors`` becomes ``model-1a2b3c4d.safetensors``."""
        stem, _, suffix = name.rpartition(".")
        return f"{stem}-{self.id}.{suffix}"

    @contextlib.contextmanager
    def open(
        self, name: str, *, pool: Executor, steady: Steady | None = None
    ) -> Iterator[HashedFile]:
        """A new remote file, hashed beside, uploaded when the block ends."""
        path = f"{self.folder}/{name}"
        self.written.append(path)
        with self.fs.open(path, "wb") as out:
            file = HashedFile(_writer(out), pool=pool, steady=steady)
            yield file
            file.check()

    def commit(self, manifest: bytes | None) -> None:
        """Put the manifest; then remove files of an older save of the name."""
        if manifest is None:
            raise CheckpointError("a remote checkpoint is a folder; drop the .pth from its name")
        self.fs.pipe_file(f"{self.folder}/{MANIFEST}", manifest)
        keep = {f"{self.folder}/{MANIFEST}", *self.written}
        with contextlib.suppress(OSError):
            for path in self.fs.ls(self.folder, detail=False):
                if path.rstrip("/").rsplit("/", 1)[-1] not in {k.rsplit("/", 1)[-1] for k in keep}:
                    self.fs.rm_file(path)

    def abandon(self) -> None:
        """Remove the files written; they were never part of a checkpoint."""
        for path in self.written:
            with contextlib.suppress(OSError):
                self.fs.rm_file(path)


def _writer(out: Any) -> Any:
    """Copy on the way out: some remote files keep what they are given until they are closed."""

    def write(view: memoryview) -> None:
        out.write(bytes(view))

    return write


class RemotePlace:
    """Names and checkpoints at one fsspec address."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise CheckpointError(f"{url} needs fsspec: pip install loopwright[remote]") from error
        self.url = url.rstrip("/")
        self.fs, root = url_to_fs(self.url)
        self.root = root.rstrip("/")

    def path(self, name: str) -> str:
        """The address of a checkpoint."""
        return f"{self.url}/{name}"

    def draft(self, name: str, need: int) -> RemoteDraft:
        """Begin a checkpoint."""
        if name.endswith(SUFFIXES):
            raise CheckpointError(f"{name}: a remote checkpoint is a folder; drop the suffix")
        return RemoteDraft(self.fs, self.root, name)

    def scan(self) -> Iterator[tuple[str, str, Manifest | Broken]]:
        """Every folder with a manifest."""
        self.fs.invalidate_cache()
        if not self.fs.isdir(self.root):
            return
        for entry in sorted(self.fs.ls(self.root, detail=True), key=lambda e: str(e["name"])):
            name = str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]
            if entry["type"] != "directory" or name.startswith((".", "bad_")):
                continue
            path = self.path(name)
            if not self.fs.exists(f"{self.root}/{name}/{MANIFEST}"):
                continue
            try:
                yield name, path, self.manifest(path)
            except Broken as error:
                yield name, path, error

    def manifest(self, path: Any) -> Manifest:
        """The manifest of one checkpoint."""
        try:
            return read_manifest(self.fs.cat_file(f"{self._inner(path)}/{MANIFEST}"))
        except (OSError, Broken) as error:
            raise Broken(f"{path}: {error}") from error

    def open(self, path: Any, name: str, note: FileNote) -> BinaryIO:
        """One file, of the size noted."""
        inner = f"{self._inner(path)}/{name}"
        try:
            size = int(self.fs.size(inner))
            if size != note.size:
                raise Broken(f"{path}/{name} has {size} bytes, its manifest says {note.size}")
            file: BinaryIO = self.fs.open(inner, "rb")
        except OSError as error:
            raise Broken(f"{path}/{name} cannot be read: {error}") from error
        return file

    def hint(self, name: str) -> None:
        """Note the last checkpoint's name."""
        self.fs.pipe_file(f"{self.root}/{HINT}", name.encode())

    def remove(self, path: Any) -> None:
        """The manifest first: from then on it is no checkpoint."""
        inner = self._inner(path)
        self.fs.rm_file(f"{inner}/{MANIFEST}")
        self.fs.rm(inner, recursive=True)

    def set_aside(self, path: Any) -> str:
        """Move a damaged checkpoint to ``bad_…``."""
        name = str(path).rsplit("/", 1)[-1]
        target = f"bad_{name}-{uuid.uuid4().hex[:4]}"
        self.fs.mv(self._inner(path), f"{self.root}/{target}", recursive=True)
        return self.path(target)

    def sweep(self) -> list[str]:
        """Remove files that no manifest names."""
        found: list[str] = []
        for name, path, manifest in list(self.scan()):
            if isinstance(manifest, Broken):
                continue
            inner = self._inner(path)
            for file in self.fs.ls(inner, detail=False):
                stem = str(file).rsplit("/", 1)[-1]
                if stem != MANIFEST and stem not in manifest.files:
                    self.fs.rm_file(file)
                    found.append(f"{name}/{stem}")
        return found

    def _inner(self, path: Any) -> str:
        return f"{self.root}/{str(path).rsplit('/', 1)[-1]}"

"""A ``.pth`` file of ours: plain torch, with the manifest in the comment at the zip's end.

Standard library alone. torch.load reads such a file as any other (``weights_only=True`` too).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

from loopwright.checkpoint.errors import Broken
from loopwright.checkpoint.hashing import HashedFile
from loopwright.checkpoint.manifest import (
    FORMAT,
    FileNote,
    Manifest,
    check_digest,
    digest_of,
    read_manifest,
)
from loopwright.files import open_regular

SUFFIXES = (".pth", ".pt")
DATA = "data"
META_KEY, STATE_KEY = "$meta", "$state"
"""Where a state that has no room for its meta, or is no dict, stands in the file."""
END = 22
MAX_COMMENT = 65535
MAGIC = b"PK\x05\x06"
OPENING = b'{"format":"' + FORMAT.encode() + b'"'


class SealingFile:
    """What torch.save writes into: passes all on but the zip's end record, which it completes."""

    def __init__(self, file: HashedFile) -> None:
        self._file = file
        self._tail = b""

    def write(self, data: bytes | memoryview) -> int:
        """Pass bytes on, keeping back what may be the end record."""
        view = memoryview(data).cast("B")
        if len(view) < END:
            whole = self._tail + bytes(view)
            self._file.write(whole[:-END])
            self._tail = whole[-END:]
            return len(view)
        self._file.write(self._tail)
        keep = END if view[-END : len(view) - END + 4] == MAGIC else 0
        self._file.write(view[: len(view) - keep])
        self._tail = bytes(view[len(view) - keep :])
        return len(view)

    def flush(self) -> None:
        """Nothing to do: the end record is written by `seal`."""

    def seal(self, manifest: Callable[[FileNote], bytes]) -> None:
        """Write the end record with a comment: the manifest that notes all bytes before it."""
        if len(self._tail) != END or self._tail[:4] != MAGIC or self._tail[-2:] != b"\0\0":
            raise OSError("torch.save did not end with a plain zip end record")
        self._file.check()
        length = len(manifest(FileNote(self._file.size + END, "0" * 64)))
        if length > MAX_COMMENT:
            raise ValueError(f"a manifest of {length} bytes does not fit a zip comment")
        self._file.write(self._tail[:-2] + struct.pack("<H", length))
        self._file.write(manifest(self._file.note()))


def manifest_of_file(path: Path) -> Manifest:
    """The manifest in a ``.pth`` file's comment; `Broken` when there is none to trust."""
    comment = _comment(path)
    if comment is None:
        raise Broken(f"{path} has no seal of ours: cut short, damaged, or another program's")
    try:
        manifest = read_manifest(comment)
    except Broken as error:
        raise Broken(f"{path}: {error}") from error
    size = path.stat().st_size - len(comment)
    if set(manifest.files) != {DATA} or manifest.files[DATA].size != size:
        raise Broken(f"{path}: the seal is of a file of another size")
    return manifest


def looks_sealed(path: Path) -> bool:
    """Whether the end of a file has our seal, whole or not: one of two signs will do."""
    try:
        with open_regular(path) as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        end = _end_of(path)
    except OSError:
        return False
    if not is_zip and path.suffix not in SUFFIXES:
        return False
    return FORMAT.encode() in end or b'"save_id":"' in end


def verify_file(path: Path) -> Manifest:
    """Read all of a ``.pth`` file and compare with its seal."""
    manifest = manifest_of_file(path)
    note = manifest.files[DATA]
    with open_regular(path) as file:
        check_digest(path, note, digest_of(file, note.size))
    return manifest


def _comment(path: Path) -> bytes | None:
    """The zip comment that reaches exactly to the file's end."""
    try:
        end = _end_of(path)
    except OSError as error:
        raise Broken(f"{path} cannot be read: {error}") from error
    start = end.find(OPENING)
    while start >= 0:
        record = end[max(0, start - END) : start]
        whole = record[-2:] == ((len(end) - start) & 0xFFFF).to_bytes(2, "little")
        if record[:4] == MAGIC and whole:
            return end[start:]
        start = end.find(OPENING, start + 1)
    return None


def _end_of(path: Path) -> bytes:
    """The last 64 KB and a record's length of a file."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - MAX_COMMENT - END))
        return file.read(MAX_COMMENT + END)

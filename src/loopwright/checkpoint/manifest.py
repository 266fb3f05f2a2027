"""The manifest: what a checkpoint is made of, sealed so that any changed bit shows.

Standard library alone: `loopwright inspect` reads it without torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from loopwright.checkpoint.codec import MAX_JSON, from_json, to_json
from loopwright.checkpoint.errors import Broken
from loopwright.files import open_regular

MANIFEST = "MANIFEST.json"
STATE = "state.json"
FORMAT = "loopwright-checkpoint"
VERSION = 1
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
SHA256 = re.compile(r"[0-9a-f]{64}")
READ = 4 << 20


@dataclass(frozen=True, slots=True)
class FileNote:
    """Size in bytes and sha256 of one file of a checkpoint."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint says of itself.

    ``sequence`` counts saves of a store: it orders checkpoints of one step without a clock.
    ``save_id`` stands in every file of the save. ``meta`` is the caller's, as a JSON tree.
    """

    name: str
    step: int
    sequence: int
    save_id: str
    files: Mapping[str, FileNote]
    meta: Any = None
    made_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(note.size for note in self.files.values())


def seal(body: Mapping[str, Any]) -> bytes:
    """JSON that carries its own sha256 as its last key.

    >>> unseal(seal({"step": 3}))
    {'step': 3}
    >>> unseal(seal({"step": 3}).replace(b"3", b"4"))
    Traceback (most recent call last):
    ...
    loopwright.checkpoint.errors.Broken: the seal does not match: some bytes have changed
    """
    inner = to_json(dict(body))
    return to_json({**body, "sha256": hashlib.sha256(inner).hexdigest()})


def unseal(raw: bytes) -> dict[str, Any]:
    """The body `seal` was given; `Broken` unless every byte is as it was written."""
    body = from_json(raw)
    if type(body) is not dict or type(body.get("sha256")) is not str:
        raise Broken("not a sealed manifest")
    del body["sha256"]
    try:
        whole = seal(body) == raw
    except (ValueError, RecursionError) as error:
        raise Broken(f"not a sealed manifest: {error}") from error
    if not whole:
        raise Broken("the seal does not match: some bytes have changed")
    return body


def write_manifest(manifest: Manifest) -> bytes:
    """The bytes of a manifest."""
    files = {n: {"size": f.size, "sha256": f.sha256} for n, f in sorted(manifest.files.items())}
    body = {
        "format": FORMAT,
        "version": VERSION,
        "name": manifest.name,
        "step": manifest.step,
        "sequence": manifest.sequence,
        "save_id": manifest.save_id,
        "made_by": dict(manifest.made_by),
        "meta": manifest.meta,
        "files": files,
    }
    return seal(body)


def read_manifest(raw: bytes) -> Manifest:
    """Parse and check a manifest; `Broken` says what is wrong with it."""
    body = unseal(raw)
    if body.get("format") != FORMAT:
        raise Broken(f"format {str(body.get('format'))[:40]!r}, wanted {FORMAT!r}")
    if body.get("version") != VERSION:
        raise Broken(f"version {str(body.get('version'))[:20]}, this program reads {VERSION}")
    for key, kind in {"name": str, "save_id": str, "step": int, "sequence": int}.items():
        if type(body.get(key)) is not kind:
            raise Broken(f"{key} must be {kind.__name__}, got {str(body.get(key))[:40]!r}")
    made_by = body.get("made_by")
    if type(made_by) is not dict:
        raise Broken("made_by must be an object")
    return Manifest(
        name=body["name"],
        step=body["step"],
        sequence=body["sequence"],
        save_id=body["save_id"],
        files=_file_notes(body.get("files")),
        meta=body.get("meta"),
        made_by={str(k): str(v) for k, v in made_by.items()},
    )


def _file_notes(tree: Any) -> dict[str, FileNote]:
    """The files part; names are plain names, so that nothing can point elsewhere."""
    if type(tree) is not dict:
        raise Broken("files must be an object")
    notes = {}
    for name, note in tree.items():
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise Broken(f"{name[:80]!r} is no name for a file of a checkpoint")
        if type(note) is not dict or set(note) != {"size", "sha256"}:
            raise Broken(f"{name}: wanted size and sha256")
        if type(note["size"]) is not int or note["size"] < 0:
            raise Broken(f"{name}: size {str(note['size'])[:40]}")
        if type(note["sha256"]) is not str or not SHA256.fullmatch(note["sha256"]):
            raise Broken(f"{name}: not a sha256")
        notes[name] = FileNote(note["size"], note["sha256"])
    return notes


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a checkpoint folder; `Broken` when there is none to trust."""
    try:
        with open_regular(folder / MANIFEST) as file:
            return read_manifest(file.read(MAX_JSON + 1))
    except OSError as error:
        raise Broken(f"{folder}: no readable {MANIFEST} ({error})") from error
    except Broken as error:
        raise Broken(f"{folder / MANIFEST}: {error}") from error


def open_noted(path: Path, note: FileNote) -> BinaryIO:
    """Open a file of a checkpoint that has the size noted; `Broken` otherwise."""
    try:
        file = open_regular(path)
    except OSError as error:
        raise Broken(f"{path} cannot be read: {error}") from error
    size = os.fstat(file.fileno()).st_size
    if size != note.size:
        file.close()
        raise Broken(f"{path} has {size} bytes, its manifest says {note.size}")
    return file


def digest_of(file: BinaryIO, size: int | None = None) -> str:
    """The sha256 of the next ``size`` bytes (all of them by default)."""
    digest, left = hashlib.sha256(), size
    while left is None or left > 0:
        chunk = file.read(READ if left is None else min(READ, left))
        if not chunk:
            break
        digest.update(chunk)
        left = None if left is None else left - len(chunk)
    return digest.hexdigest()


def check_digest(path: object, note: FileNote, digest: str) -> None:
    """`Broken` unless the digest read is the one noted."""
    if digest != note.sha256:
        raise Broken(f"{path} has changed since it was written (sha256 {digest[:12]}…)")


def summary(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain data for printing."""
    tree: dict[str, Any] = json.loads(write_manifest(manifest))
    tree.pop("sha256")
    return tree

"""What a checkpoint holds, from which run, whole or not: no tensor loaded, torch not imported."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loopwright.checkpoint.codec import from_json
from loopwright.checkpoint.errors import Broken, CheckpointError
from loopwright.checkpoint.foreign import children, describe
from loopwright.checkpoint.inert import ITEM_SIZES, ArraySpec, Inert, TensorSpec
from loopwright.checkpoint.local import LocalPlace
from loopwright.checkpoint.manifest import (
    MANIFEST,
    STATE,
    FileNote,
    Manifest,
    check_digest,
    digest_of,
    manifest_of,
    open_noted,
)
from loopwright.checkpoint.sealed import looks_sealed, manifest_of_file, verify_file
from loopwright.checkpoint.sniff import kind_of
from loopwright.checkpoint.tensorfile import SIZES, header_length, parse_header
from loopwright.files import Disk, open_regular

NAMES = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint", "BOOL": "bool"}
MAX_LISTED = 200_000


@dataclass(frozen=True, slots=True)
class TensorLine:
    """One tensor: where in the state, dtype, shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(slots=True)
class Description:
    """All that can be said of a checkpoint without loading it.

    ``problems`` is empty when it is whole; ``verified`` tells whether every byte was read.
    """

    path: str
    kind: str
    name: str = ""
    step: int | None = None
    meta: Any = None
    made_by: dict[str, str] = field(default_factory=dict)
    size: int = 0
    verified: bool = False
    problems: list[str] = field(default_factory=list)
    tensors: list[TensorLine] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong with it, as far as was looked."""
        return not self.problems

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "whole": self.whole}


def inspect(path: Path, *, verify: bool = True) -> Description:
    """Look at a checkpoint of any kind; `CheckpointError` when it is none at all.

    Damage is reported in ``problems``, not raised.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist")
    if path.is_dir():
        return _folder(path, verify=verify)
    if looks_sealed(path):
        return _sealed(path, verify=verify)
    return _foreign(path)


def inspect_all(folder: Path, *, verify: bool = False) -> list[Description]:
    """Every checkpoint of a run's folder, oldest first, damaged ones included."""
    found = [inspect(path, verify=verify) for _, path, _ in LocalPlace(folder, disk=Disk()).scan()]
    return sorted(found, key=lambda d: (d.step is None, d.step or 0, d.name))


def _start(path: Path, kind: str, manifest: Manifest) -> Description:
    return Description(
        path=str(path),
        kind=kind,
        name=manifest.name,
        step=manifest.step,
        meta=manifest.meta,
        made_by=dict(manifest.made_by),
        size=manifest.size,
    )


def _folder(path: Path, *, verify: bool) -> Description:
    """A folder of ours, file by file."""
    if not (path / MANIFEST).exists() and not (path / STATE).exists():
        raise CheckpointError(f"{path} is no checkpoint: it has no {MANIFEST}")
    try:
        manifest = manifest_of(path)
    except Broken as error:
        return Description(str(path), "loopwright folder", path.name, problems=[str(error)])
    found = _start(path, "loopwright folder", manifest)
    for name, note in manifest.files.items():
        try:
            _folder_file(path / name, note, found, verify=verify)
        except Broken as error:
            found.problems.append(str(error))
    found.verified = verify and found.whole
    return found


def _folder_file(path: Path, note: FileNote, found: Description, *, verify: bool) -> None:
    """Size and digest of one file; its tensors' names into the description."""
    with open_noted(path, note) as file:
        if verify:
            check_digest(path, note, digest_of(file))
            file.seek(0)
        if path.suffix == ".safetensors":
            stem = path.stem.split("-")[0]
            found.tensors += _header_lines(file, note.size, "" if stem == "tensors" else stem)
        elif path.name == STATE:
            tree = from_json(file.read()).get("state")
            found.values += list(tree)[:100] if isinstance(tree, dict) else []


def _header_lines(file: Any, size: int, stem: str) -> list[TensorLine]:
    start = file.read(8)
    slots, _ = parse_header(start + file.read(header_length(start, size)), size)
    head = f"{stem}." if stem else ""
    return [TensorLine(f"{head}{n}", _dtype(s.dtype), s.shape) for n, s in slots.items()]


def _dtype(name: str) -> str:
    """A safetensors dtype in torch's words."""
    letters = name.rstrip("0123456789")
    plain = letters in NAMES and name in SIZES
    return f"{NAMES[letters]}{name[len(letters) :]}" if plain else name.lower()


def _sealed(path: Path, *, verify: bool) -> Description:
    """A ``.pth`` of ours: the seal, then the pickle as data."""
    try:
        manifest = verify_file(path) if verify else manifest_of_file(path)
    except Broken as error:
        return Description(str(path), "loopwright single file", path.name, problems=[str(error)])
    found = _start(path, "loopwright single file", manifest)
    found.verified = verify
    _describe_into(path, found)
    return found


def _foreign(path: Path) -> Description:
    """A file of another program, as far as it is data."""
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if kind_of(file.read(512), size) == "safetensors":
            file.seek(0)
            found = Description(str(path), "safetensors", path.name, size=size)
            found.tensors = _header_lines(file, size, "")
            return found
    found = Description(str(path), "foreign", path.name, size=size)
    _describe_into(path, found)
    return found


def _describe_into(path: Path, found: Description) -> None:
    with open_regular(path) as file:
        described = describe(file, str(path))
    if found.kind == "foreign":
        found.kind = described.kind
    if isinstance(described.value, dict):
        found.values = [str(key)[:80] for key in list(described.value)[:100]]
    found.tensors = list(_spec_lines(described.value))


def _spec_lines(value: Any) -> Iterator[TensorLine]:
    """Tensors and arrays of a description with their places in it."""
    waiting: list[tuple[str, Any]] = [("", value)]
    seen: set[int] = set()
    while waiting and len(seen) < MAX_LISTED:
        path, item = waiting.pop()
        if isinstance(item, TensorSpec):
            yield TensorLine(path, item.dtype, item.size)
        elif isinstance(item, ArraySpec):
            yield TensorLine(path, f"numpy {item.dtype.code if item.dtype else '?'}", item.shape)
        elif id(item) not in seen:
            seen.add(id(item))
            waiting += reversed(list(_named_children(path, item)))


def _named_children(path: str, item: Any) -> Iterator[tuple[str, Any]]:
    head = f"{path}." if path else ""
    named = item.state if isinstance(item, Inert) else item
    if isinstance(named, dict):
        for key, child in named.items():
            yield f"{head}{str(key)[:200]}", child
    else:
        for place, child in enumerate(children(item)):
            yield f"{head}{place}", child


def groups_of(tensors: list[TensorLine]) -> dict[str, tuple[int, int, int]]:
    """Tensors, elements and bytes by the first part of the name.

    >>> groups_of([TensorLine("m.w", "float32", (2, 3)), TensorLine("m.b", "numpy f8", (3,))])
    {'m': (2, 9, 48)}
    """
    table: dict[str, tuple[int, int, int]] = {}
    for line in tensors:
        head = line.name.split(".")[0]
        count, elements, size = table.get(head, (0, 0, 0))
        table[head] = (count + 1, elements + line.count, size + line.count * _width(line.dtype))
    return table


def _width(dtype: str) -> int:
    """Bytes of one element."""
    digits = "".join(filter(str.isdigit, dtype)) if dtype.startswith("numpy") else ""
    return int(digits or 1) if digits else ITEM_SIZES.get(dtype, 1)

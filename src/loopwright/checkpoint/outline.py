"""A checkpoint's state with shapes in place of its tensors: sizes are checked, no number is read.

Standard library alone, so that a plan can look at a checkpoint without torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.checkpoint.codec import MAX_JSON, decode_all, from_json
from loopwright.checkpoint.errors import Broken, CheckpointError, Refused
from loopwright.checkpoint.foreign import Described, describe, distinct
from loopwright.checkpoint.inert import ITEM_SIZES, ArraySpec, Inert, Storage, TensorSpec
from loopwright.checkpoint.manifest import MANIFEST, STATE, manifest_of, open_noted
from loopwright.checkpoint.rebuild import check_storage, check_tree, check_view
from loopwright.checkpoint.sealed import META_KEY, STATE_KEY, looks_sealed, manifest_of_file
from loopwright.checkpoint.sniff import kind_of
from loopwright.checkpoint.tensorfile import header_length, parse_header
from loopwright.files import open_regular


@dataclass(frozen=True, slots=True)
class Outlined:
    """Where a tensor or an array would be."""

    shape: tuple[int, ...]


def outline(path: str | os.PathLike[str]) -> Any:
    """What `load_any` would give for a local path, with `Outlined` for every tensor and array.

    Raises CheckpointError as that would: for what is no checkpoint, is not data, lacks files or
    has files of a wrong size. Only a changed byte within a file of the right size goes unseen.
    """
    found = Path(os.fspath(path).removeprefix("file://"))
    if not found.exists():
        raise CheckpointError(f"{found} does not exist")
    if found.is_dir():
        return _folder(found)
    found = found.resolve()
    if looks_sealed(found):
        manifest_of_file(found)
    try:
        with open_regular(found) as file:
            size = os.fstat(file.fileno()).st_size
            if kind_of(file.read(512), size) == "safetensors":
                file.seek(0)
                return _header(file, size)
            described = describe(file, str(found))
    except OSError as error:
        raise CheckpointError(f"{found} cannot be read: {error}") from error
    try:
        _check(described)
        value = described.value
        inner = isinstance(value, dict) and META_KEY in value
        return _outlined(value.get(STATE_KEY, value) if inner else value)
    except RecursionError as error:
        raise Refused(f"{found}: nested too deeply") from error
    except CheckpointError as error:
        raise type(error)(f"{found}: {error}") from error


def _folder(path: Path) -> Any:
    if not (path / MANIFEST).exists():
        raise Refused(f"{path} is a folder without a checkpoint of ours in it")
    tree: Any = None
    shapes: dict[str, dict[str, Outlined]] = {}
    for name, note in manifest_of(path).files.items():
        with open_noted(path / name, note) as file:
            stem, _, kind = name.rpartition(".")
            if kind == "safetensors":
                shapes[stem.split("-")[0]] = _header(file, note.size)
            elif f"{stem.split('-')[0]}.{kind}" == STATE:
                tree = from_json(file.read(MAX_JSON + 1))
    if not isinstance(tree, dict) or "state" not in tree:
        raise Broken(f"{path} has no {STATE}")

    def leaf(one: dict[str, Any]) -> Any:
        if one.get("$") not in ("tensor", "ndarray"):
            return None
        if one.get("name") not in shapes.get(one.get("file", ""), {}):
            raise Broken(f"{path}: no tensor as described: {str(one)[:120]}")
        return Outlined(tuple(one["shape"])) if "shape" in one else shapes[one["file"]][one["name"]]

    return decode_all(tree["state"], leaf)


def _header(file: Any, size: int) -> dict[str, Outlined]:
    """The shapes of a safetensors file."""
    start = file.read(8)
    slots, _ = parse_header(start + file.read(header_length(start, size)), size)
    return {name: Outlined(slot.shape) for name, slot in slots.items()}


def _check(described: Described) -> None:
    """Whether building it would succeed, as far as its description and its sizes tell."""
    check_tree(described.value)
    for item in distinct(described.value):
        if isinstance(item, TensorSpec):
            check_view(item, check_storage(described, item.storage) // ITEM_SIZES[item.dtype])
        elif isinstance(item, Storage):
            raise Refused("a bare storage; wanted tensors")


def _outlined(value: Any) -> Any:
    if isinstance(value, TensorSpec):
        return Outlined(value.size)
    if isinstance(value, ArraySpec):
        return Outlined(value.shape)
    if isinstance(value, Inert):
        return {"type": value.kind}
    if isinstance(value, dict):
        return {key: _outlined(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_outlined(inner) for inner in value])
    return value

"""Read a checkpoint of ours: every byte compared with its manifest, then unpacked."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import torch

from loopwright.checkpoint.codec import MAX_JSON, decode_all, from_json, no_tree_leaf
from loopwright.checkpoint.errors import Broken, Refused
from loopwright.checkpoint.manifest import STATE, Manifest, check_digest, digest_of
from loopwright.checkpoint.place import Place, Where
from loopwright.checkpoint.plain import from_plain
from loopwright.checkpoint.rebuild import read_torch_file
from loopwright.checkpoint.sealed import DATA, META_KEY, STATE_KEY, SUFFIXES
from loopwright.checkpoint.state import unpack
from loopwright.checkpoint.tensors import read_noted


def verify(place: Place, path: Where, manifest: Manifest) -> None:
    """Read every byte and compare size and sha256; `Broken` names the file that differs."""
    for name, note in manifest.files.items():
        with place.open(path, name, note) as file:
            check_digest(f"{path}/{name}", note, digest_of(file, note.size))


def read_checkpoint(place: Place, path: Where, manifest: Manifest) -> tuple[Any, Any]:
    """State and meta of a checkpoint, from one pass over its files."""
    meta = decode_all(manifest.meta, no_tree_leaf)
    if str(path).endswith(SUFFIXES) and set(manifest.files) == {DATA}:
        return _read_single(place, path, manifest, meta)
    tree: Any = None
    tensors: dict[str, dict[str, torch.Tensor]] = {}
    for name, note in manifest.files.items():
        with place.open(path, name, note) as file:
            stem, _, kind = name.rpartition(".")
            if kind == "safetensors":
                where = f"{path}/{name}"
                tensors[stem.split("-")[0]] = read_noted(
                    file, where, note, save_id=manifest.save_id
                )
            elif f"{stem.split('-')[0]}.{kind}" == STATE:
                raw = file.read(min(note.size, MAX_JSON + 1))
                tree = _checked_tree(raw, f"{path}/{name}", note, manifest)
    if tree is None:
        raise Broken(f"{path} has no {STATE}")
    return unpack(tree["state"], tensors), meta


def _checked_tree(raw: bytes, where: str, note: Any, manifest: Manifest) -> dict[str, Any]:
    """``state.json`` parsed, once its digest and save are right."""
    check_digest(where, note, hashlib.sha256(raw).hexdigest())
    tree = from_json(raw)
    if type(tree) is not dict or tree.get("save_id") != manifest.save_id or "state" not in tree:
        raise Broken(f"{where} belongs to another save")
    return tree


def _read_single(place: Place, path: Where, manifest: Manifest, meta: Any) -> tuple[Any, Any]:
    """A sealed ``.pth`` file: digest first, then our own reader (torch.load is not asked)."""
    note = manifest.files[DATA]
    with place.open(path, DATA, note) as file:
        check_digest(str(path), note, digest_of(file, note.size))
        try:
            value = read_torch_file(file, str(path))
        except Refused as error:
            raise Broken(f"{path}: {error}") from error
    if type(value) is dict and META_KEY in value:
        meta = decode_all(value.pop(META_KEY)["v"], no_tree_leaf)
        value = value.pop(STATE_KEY, value)
    return from_plain(value), meta


def moved(state: Any, map_location: Any) -> Any:
    """The state with its tensors on another device; shared ones stay shared."""
    device = torch.device(map_location)
    return state if device.type == "cpu" else _moved(state, device, {})


def _moved(value: Any, device: torch.device, made: dict[int, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        if id(value) not in made:
            made[id(value)] = value.to(device)
        return made[id(value)]
    if type(value) in (dict, OrderedDict):
        moved_dict = type(value)((k, _moved(v, device, made)) for k, v in value.items())
        if hasattr(value, "_metadata"):
            moved_dict._metadata = value._metadata
        return moved_dict
    if type(value) in (list, tuple):
        return type(value)(_moved(item, device, made) for item in value)
    return value

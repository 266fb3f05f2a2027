"""Tensors to and from safetensors files: streamed out, read once and hashed on the way in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import torch

from loopwright.checkpoint.errors import Broken
from loopwright.checkpoint.leaves import DTYPES, as_dtype
from loopwright.checkpoint.manifest import FileNote, check_digest
from loopwright.checkpoint.state import Stored
from loopwright.checkpoint.tensorfile import SIZES, Slot, header_length, make_header, parse_header
from loopwright.files import open_regular

ALONGSIDE = 256 << 10


def chunks_of(group: Mapping[str, Stored], *, save_id: str) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file: header, then tensors, widest dtypes first (aligned)."""
    names = sorted(group, key=lambda name: -SIZES[group[name].dtype])
    layout = {name: (group[name].dtype, group[name].shape) for name in names}
    yield make_header(layout, metadata={"save_id": save_id, "format": "pt"})[0]
    for name in names:
        yield group[name].data()


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of any safetensors file; `Broken` when its header lies."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        return _read(file, size, lambda data: None)[0]


def read_noted(
    file: BinaryIO, path: object, note: FileNote, *, save_id: str
) -> dict[str, torch.Tensor]:
    """The tensors of a file of a checkpoint; `Broken` unless size, sha256 and save agree."""
    digest = hashlib.sha256()
    with ThreadPoolExecutor(1, thread_name_prefix="checkpoint-hash") as pool:
        pending: list[Future[None]] = []

        def hash_beside(data: memoryview) -> None:
            if len(data) < ALONGSIDE and not pending:
                digest.update(data)
            else:
                pending.append(pool.submit(digest.update, data))

        try:
            tensors, metadata = _read(file, note.size, hash_beside)
        except Broken as error:
            raise Broken(f"{path}: {error}") from error
        for job in pending:
            job.result()
    check_digest(path, note, digest.hexdigest())
    if metadata.get("save_id") != save_id:
        raise Broken(f"{path} belongs to another save ({metadata.get('save_id')})")
    return tensors


def _read(
    file: BinaryIO, size: int, seen: Callable[[memoryview], None]
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata; every byte passes ``seen``. Nothing is allocated beyond ``size``."""
    start = file.read(8)
    raw = start + file.read(header_length(start, size))
    slots, metadata = parse_header(raw, size)
    seen(memoryview(raw))
    ordered = sorted(slots.items(), key=lambda item: (item[1].start, item[1].end))
    return {name: _read_one(file, slot, seen) for name, slot in ordered}, metadata


def _read_one(file: BinaryIO, slot: Slot, seen: Callable[[memoryview], None]) -> torch.Tensor:
    """One tensor with memory of its own."""
    if slot.dtype not in DTYPES:
        raise Broken(f"this torch has no dtype for {slot.dtype}")
    flat = torch.empty(slot.end - slot.start, dtype=torch.uint8)
    if flat.numel():
        view = flat.numpy().data
        if _fill(file, view) != len(view):
            raise Broken("the file ended early")
        seen(view)
    try:
        return as_dtype(flat, DTYPES[slot.dtype], slot.shape)
    except RuntimeError as error:
        raise Broken(f"no tensor has the shape {list(slot.shape)}: {error}") from error


def _fill(file: BinaryIO, view: memoryview) -> int:
    """Read until the buffer is full or the file ends; bytes read."""
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return done

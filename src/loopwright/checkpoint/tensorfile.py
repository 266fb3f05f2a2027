"""The safetensors format, header side: written in a stream, read with every number checked.

Standard library alone, so that a checkpoint can be looked at without importing torch.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopwright.checkpoint.codec import MAX_JSON, from_json
from loopwright.checkpoint.errors import Broken

SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
MAX_DIMS = 64
ALIGN = 8


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one tensor lies: dtype name, shape, first byte and one past the last in the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def make_header(
    slots: Mapping[str, tuple[str, Sequence[int]]], *, metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, Slot]]:
    """The header bytes (length word included) for tensors laid out in the order given.

    >>> raw, slots = make_header({"w": ("F32", [2, 3])}, metadata={})
    >>> parse_header(raw, len(raw) + 24)[0] == slots
    True
    """
    made: dict[str, Slot] = {}
    end = 0
    for name, (dtype, shape) in slots.items():
        start, end = end, end + SIZES[dtype] * math.prod(shape)
        made[name] = Slot(dtype, tuple(shape), start, end)
    tree: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    for name, slot in made.items():
        offsets = [slot.start, slot.end]
        tree[name] = {"dtype": slot.dtype, "shape": slot.shape, "data_offsets": offsets}
    raw = json.dumps(tree, separators=(",", ":")).encode("ascii")
    raw += b" " * (-len(raw) % ALIGN)
    return struct.pack("<Q", len(raw)) + raw, made


def header_length(start: bytes, file_size: int) -> int:
    """How many bytes of JSON follow the first eight; `Broken` before anything is allocated."""
    if len(start) < 8 or file_size < 10:
        raise Broken("too short for a safetensors file")
    length = int(struct.unpack("<Q", start[:8])[0])
    if length > file_size - 8 or length > MAX_JSON or length < 2:
        raise Broken(f"a header of {length} bytes in a file of {file_size}")
    return length


def parse_header(raw: bytes, file_size: int) -> tuple[dict[str, Slot], dict[str, str]]:
    """Slots and metadata from the first bytes of a file; every lie about sizes is `Broken`."""
    length = header_length(raw, file_size)
    tree = from_json(raw[8 : 8 + length])
    if type(tree) is not dict:
        raise Broken("a safetensors header is an object")
    metadata = tree.pop("__metadata__", {})
    if type(metadata) is not dict or any(type(v) is not str for v in metadata.values()):
        raise Broken("__metadata__ holds strings only")
    slots = {name: _slot(name, entry) for name, entry in tree.items()}
    _check_layout(slots, file_size - 8 - length)
    return slots, metadata


def _slot(name: str, entry: Any) -> Slot:
    """One header entry, checked on its own."""
    if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Broken(f"{name[:80]!r}: wanted dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in SIZES:
        raise Broken(f"{name[:80]!r}: unknown dtype {str(dtype)[:20]!r}")
    if not _is_counts(shape) or len(shape) > MAX_DIMS:
        raise Broken(f"{name[:80]!r}: a shape is a list of at most {MAX_DIMS} counts")
    if not _is_counts(offsets) or len(offsets) != 2:
        raise Broken(f"{name[:80]!r}: data_offsets are two counts")
    slot = Slot(dtype, tuple(shape), *offsets)
    if slot.end - slot.start != slot.numel * SIZES[dtype]:
        raise Broken(f"{name[:80]!r}: {slot.end - slot.start} bytes do not hold {dtype}{shape}")
    return slot


def _is_counts(value: Any) -> bool:
    """A list of ints from 0 to 2^63 - 1 (True is not an int here)."""
    return type(value) is list and all(type(v) is int and 0 <= v < 1 << 63 for v in value)


def _check_layout(slots: Mapping[str, Slot], size: int) -> None:
    """Tensors follow each other without gap or overlap and fill the data part exactly."""
    end = 0
    for name, slot in sorted(slots.items(), key=lambda item: (item[1].start, item[1].end)):
        if slot.start != end:
            raise Broken(f"{name[:80]!r} starts at {slot.start}, wanted {end}: gap or overlap")
        end = slot.end
    if end != size:
        raise Broken(f"the tensors fill {end} bytes, the file has {size}")

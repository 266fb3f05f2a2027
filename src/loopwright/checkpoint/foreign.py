"""Files of other programs as data: torch's zip, legacy and tar formats, plain pickles of arrays.

Nothing here needs torch: what comes out are inert descriptions, which `rebuild` makes real.
"""

from __future__ import annotations

import functools
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from loopwright.checkpoint.errors import Broken, CheckpointError, Refused
from loopwright.checkpoint.inert import (
    ITEM_SIZES,
    Inert,
    Storage,
    TensorSpec,
)
from loopwright.checkpoint.opcodes import read_pickle
from loopwright.checkpoint.sniff import kind_of, looks_like
from loopwright.checkpoint.zipped import ZipFile

if TYPE_CHECKING:
    pass

MAX_PICKLE = 256 << 20
MAX_NODES = 2_000_000

Fill = Callable[[memoryview], None]


@dataclass(frozen=True, slots=True)
class Described:
    """A foreign file: its value with inert leaves, and where each storage's bytes are.

    ``storages`` maps a key to its size in bytes and a function that reads it into a buffer.
    """

    value: Any
    storages: dict[str, tuple[int, Fill]]
    kind: str


def describe(file: BinaryIO, where: str) -> Described:
    """What a file holds, without building it; `Refused` says what it looks like instead."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(512)
    kind = kind_of(start, size)
    readers = {"zip": _zip, "legacy": _legacy, "pickle": _plain_pickle, "tar": _tar}
    if kind not in readers:
        raise Refused(f"{where} looks like {looks_like(start, size)}, not like a checkpoint")
    try:
        return readers[kind](file, size)
    except CheckpointError as error:
        raise type(error)(f"{where}: {error}") from error
    except (OSError, OverflowError, ValueError, EOFError) as error:
        raise Broken(f"{where}: {error}") from error


def _zip(file: BinaryIO, size: int) -> Described:
    """The format of torch since 1.6."""
    archive = ZipFile(file)
    names = [name for name in archive.records if name.rpartition("/")[2] == "data.pkl"]
    if len(names) != 1:
        raise Refused(f"looks like {_zip_kind(archive)}, not like a file of torch.save")
    prefix = names[0][: -len("data.pkl")]
    if f"{prefix}constants.pkl" in archive.records:
        raise Refused("looks like a TorchScript program; save its state_dict instead")
    order = f"{prefix}byteorder"
    if order in archive.records and archive.read(order, limit=64) != b"little":
        raise Refused("was written on a big-endian machine")
    value, _ = read_pickle(archive.read(names[0], limit=MAX_PICKLE))
    head = f"{prefix}data/"
    storages: dict[str, tuple[int, Fill]] = {
        name[len(head) :]: (record.size, functools.partial(archive.fill, name))
        for name, record in archive.records.items()
        if name.startswith(head)
    }
    return Described(value, storages, "torch zip")


def _zip_kind(archive: ZipFile) -> str:
    """What another zip file may be."""
    for name in archive.records:
        if name.endswith(".npy"):
            return "a numpy .npz archive"
        if name.startswith(("word/", "xl/", "ppt/")):
            return "an office document"
        if name.startswith("META-INF/"):
            return "a Java archive"
        if name == "model.weights.h5":
            return "a Keras model"
    return "a zip archive of other things"


def _legacy(file: BinaryIO, size: int) -> Described:
    """The format of torch 0.1 to 1.5: pickles one after the other, then raw storages."""
    file.seek(0)
    head = file.read(min(size, MAX_PICKLE))
    place = 0
    for _ in range(3):  # magic number, protocol version, system information
        told, place = read_pickle(head, place)
    if isinstance(told, dict) and told.get("little_endian") is False:
        raise Refused("was written on a big-endian machine")
    value, place = read_pickle(head, place)
    keys, place = read_pickle(head, place)
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise Broken("a legacy file without its list of storages")
    widths = {s.key: ITEM_SIZES[s.dtype] for s in _storages_in(value)}
    storages: dict[str, tuple[int, Fill]] = {}
    for key in keys:
        storages[key] = _raw_storage(file, place, size, widths.get(key, 1))
        place += 8 + storages[key][0]
    return Described(value, storages, "torch legacy")


def _raw_storage(file: BinaryIO, place: int, size: int, width: int) -> tuple[int, Fill]:
    """A count of elements and the elements, checked against the file's size."""
    file.seek(place)
    raw = file.read(8)
    count = int.from_bytes(raw, "little", signed=True)
    if len(raw) != 8 or count < 0 or place + 8 + count * width > size:
        raise Broken("a legacy storage reaches beyond its file")

    def fill(view: memoryview) -> None:
        file.seek(place + 8)
        if file.readinto(view) != len(view):  # type: ignore[attr-defined]
            raise Broken("a legacy storage is cut short")

    return count * width, fill


def _plain_pickle(file: BinaryIO, size: int) -> Described:
    """A pickle of plain values and numpy arrays (detectron2's model zoo)."""
    file.seek(0)
    if size > 2 << 30:
        raise Refused("a pickle of more than 2 GB")
    value, _ = read_pickle(file.read(size))
    if next(_storages_in(value), None) is not None:
        raise Broken("a bare pickle that mentions torch storages")
    return Described(value, {}, "pickle")


def _tar(file: BinaryIO, size: int) -> Described:
    """Torch before 0.1.10: a tar of ``storages``, ``tensors`` and ``pickle``; named, not read."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            first = archive.next()
    except tarfile.TarError as error:
        raise Broken(f"a damaged tar archive ({error})") from error
    name = "" if first is None else first.name[:80]
    if name in ("sys_info", "pickle", "storages", "tensors", "./sys_info"):
        raise Refused("is a tar file of torch before 0.1.10; load and re-save it with torch < 2.6")
    raise Refused(f"looks like a tar archive (first member {name!r}), not like a checkpoint")


def children(value: Any) -> Iterator[Any]:
    """The values inside a container of a description."""
    if isinstance(value, dict):
        yield from value.values()
        if hasattr(value, "_metadata"):
            yield value._metadata
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, Inert):
        yield from value.state.values()


def distinct(value: Any) -> Iterator[Any]:
    """Every value once, however often it is shared; `Refused` for more than two million."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        if len(seen) > MAX_NODES:
            raise Refused("more values than a checkpoint has")
        seen.add(id(item))
        yield item
        waiting.extend(children(item))


def _storages_in(value: Any) -> Iterator[Storage]:
    for item in distinct(value):
        if isinstance(item, TensorSpec):
            yield item.storage
        elif isinstance(item, Storage):
            yield item

"""Files of other programs as data: torch's zip, legacy and tar formats, plain pickles of arrays.

`describe` needs no torch and gives inert descriptions; `read_torch_file` builds the tensors.
"""

from __future__ import annotations

import functools
import math
import os
import tarfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from loopwright.checkpoint.errors import Broken, CheckpointError, Refused
from loopwright.checkpoint.inert import (
    ITEM_SIZES,
    ArraySpec,
    Global,
    Inert,
    Storage,
    Tagged,
    TensorSpec,
)
from loopwright.checkpoint.opcodes import read_pickle
from loopwright.checkpoint.sniff import kind_of, looks_like
from loopwright.checkpoint.zipped import ZipFile

if TYPE_CHECKING:
    import torch

MAX_PICKLE = 256 << 20
MAX_NODES = 2_000_000
MAX_EXPANDED = 256 << 20

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


def check_tree(value: Any) -> None:
    """`Refused` for values that contain themselves or grow without end when written out."""
    sizes: dict[int, int] = {}
    open_now: set[int] = set()
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:
        item, done = waiting.pop()
        key = id(item)
        if done:
            open_now.discard(key)
            sizes[key] = 1 + sum(sizes[id(child)] for child in children(item))
            if sizes[key] > MAX_NODES:
                raise Refused("shared parts that would grow beyond measure when written out")
        elif key in open_now:
            raise Refused("a value that contains itself")
        elif key not in sizes:
            open_now.add(key)
            waiting.append((item, True))
            waiting.extend((child, False) for child in children(item))


def read_torch_file(file: BinaryIO, where: str) -> Any:
    """The value of a foreign file with real tensors and arrays, all on the CPU.

    Views of one storage share memory as they did. `Broken` for damage, `Refused` for what is
    not data.
    """
    described = describe(file, where)
    try:
        check_tree(described.value)
        return _Builder(described).value(described.value)
    except RecursionError as error:
        raise Refused(f"{where}: nested too deeply") from error
    except CheckpointError as error:
        raise type(error)(f"{where}: {error}") from error


class _Builder:
    """Builds each described value once."""

    def __init__(self, described: Described) -> None:
        self.described = described
        self.made: dict[int, Any] = {}
        self.bytes: dict[str, torch.Tensor] = {}
        self.views: dict[Any, torch.Tensor] = {}

    def value(self, item: Any) -> Any:
        """The real value; shared descriptions stay shared."""
        key = id(item)
        if key not in self.made:
            self.made[key] = self._build(item)
        return self.made[key]

    def _build(self, item: Any) -> Any:
        if type(item) in (OrderedDict, Counter, dict):
            return self._dict(item)
        if type(item) in (list, tuple):
            return type(item)(self.value(inner) for inner in item)
        if isinstance(item, TensorSpec):
            return self._tensor(item)
        if isinstance(item, ArraySpec):
            return _array(item)
        if isinstance(item, Inert):
            return self._inert(item)
        if isinstance(item, Tagged | Global):
            return _small(item)
        if isinstance(item, Storage):
            raise Refused("a bare storage; wanted tensors")
        if isinstance(item, str | bytes | bytearray | int | float | complex | set | frozenset):
            return item
        if item is None:
            return None
        raise Refused(f"a {type(item).__name__}, which is not data")

    def _dict(self, item: Any) -> Any:
        made = type(item)()
        for key, inner in item.items():
            made[key if not isinstance(key, Global) else str(key)] = self.value(inner)
        if hasattr(item, "_metadata"):
            made._metadata = self.value(item._metadata)
        return made

    def _inert(self, item: Inert) -> dict[str, Any]:
        """A known object as a dict: private names without underscore, function names left out."""
        state = {
            key.lstrip("_"): self.value(inner)
            for key, inner in item.state.items()
            if not isinstance(inner, Tagged) and key.lstrip("_") != "statistics_methods"
        }
        return {"type": item.kind, **state}

    def _tensor(self, spec: TensorSpec) -> torch.Tensor:
        import torch

        place = (spec.storage.key, spec.offset, spec.size, spec.stride)
        key = (*place, spec.dtype, spec.flags)
        if key not in self.views:
            self.views[key] = self._view(spec)
        view = self.views[key]
        if spec.param:
            return torch.nn.Parameter(view, requires_grad=spec.grad)
        return view.detach().requires_grad_(True) if spec.grad else view

    def _view(self, spec: TensorSpec) -> torch.Tensor:
        """A checked view of the storage's bytes."""
        import torch

        width = ITEM_SIZES[spec.dtype]
        raw = self._storage(spec.storage)
        whole = raw[: raw.numel() // width * width]
        check_view(spec, whole.numel() // width)
        dtype = getattr(torch, spec.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise Refused(f"this torch has no {spec.dtype}")
        view = whole.view(dtype).as_strided(spec.size, spec.stride, spec.offset)
        view = view.conj() if "conj" in spec.flags else view
        return torch._neg_view(view) if "neg" in spec.flags else view

    def _storage(self, storage: Storage) -> torch.Tensor:
        """The bytes of a storage, read once."""
        import torch

        if storage.key not in self.described.storages:
            raise Broken(f"no record for the storage {storage.key[:80]!r}")
        size, fill = self.described.storages[storage.key]
        width = ITEM_SIZES[storage.dtype]
        need = storage.numel * width
        if not need <= size < need + width:
            raise Broken(f"the storage {storage.key[:80]!r} has {size} bytes, wanted {need}")
        if storage.key not in self.bytes:
            raw = torch.empty(size, dtype=torch.uint8)
            if size:
                fill(raw.numpy().data)
            self.bytes[storage.key] = raw
        return self.bytes[storage.key]


def check_view(spec: TensorSpec, numel: int) -> None:
    """`Refused` for a view that leaves its storage or stretches it beyond measure."""
    count = math.prod(spec.size)
    if count:
        steps = sum((n - 1) * step for n, step in zip(spec.size, spec.stride, strict=True))
        if spec.offset + steps >= numel:
            raise Refused(f"a tensor {list(spec.size)} reaches beyond its storage of {numel}")
    if count > numel and count * ITEM_SIZES[spec.dtype] > MAX_EXPANDED:
        raise Refused(f"a tensor {list(spec.size)} stretched from {numel} numbers")
    if any(step >= 1 << 62 for step in spec.stride) or spec.offset > numel:
        raise Refused("a tensor with a step beyond any storage")


def _array(spec: ArraySpec) -> Any:
    """A numpy array or scalar."""
    import numpy as np

    from loopwright.checkpoint.state import plain_dtype

    if spec.dtype is None:
        raise Broken("an array that was never filled")
    order = spec.dtype.order if spec.dtype.order in ("<", ">") else ""
    try:
        dtype = plain_dtype(f"{order}{spec.dtype.code.lstrip('<>|=')}")
        flat = np.frombuffer(spec.raw, dtype)
        array = flat.reshape(spec.shape, order="F" if spec.fortran else "C").copy()
    except (TypeError, ValueError) as error:
        raise Broken(f"an array whose parts do not fit: {error}") from error
    return array[()] if spec.scalar else array


def _small(item: Tagged | Global) -> Any:
    """Sizes, devices and dtypes; any other name stays a text."""
    import torch

    if isinstance(item, Tagged):
        if item.kind == "size":
            return torch.Size(item.value)
        if item.kind == "device":
            try:
                return torch.device(item.value)
            except RuntimeError as error:
                raise Broken(f"no device: {item.value[:40]!r}") from error
        return item.value
    dtype = getattr(torch, item.name, None) if item.module == "torch" else None
    return dtype if isinstance(dtype, torch.dtype) else str(item)

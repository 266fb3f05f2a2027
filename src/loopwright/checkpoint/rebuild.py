"""Real tensors and arrays from the description of a foreign file, each view checked first."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, BinaryIO

from loopwright.checkpoint.errors import Broken, CheckpointError, Refused
from loopwright.checkpoint.foreign import MAX_NODES, Described, children, describe
from loopwright.checkpoint.inert import (
    ITEM_SIZES,
    ArraySpec,
    Global,
    Inert,
    Storage,
    Tagged,
    TensorSpec,
)

if TYPE_CHECKING:
    import torch

MAX_EXPANDED = 256 << 20


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

        size = check_storage(self.described, storage)
        if storage.key not in self.bytes:
            raw = torch.empty(size, dtype=torch.uint8)
            if size:
                self.described.storages[storage.key][1](raw.numpy().data)
            self.bytes[storage.key] = raw
        return self.bytes[storage.key]


def check_storage(described: Described, storage: Storage) -> int:
    """The bytes of a storage that a file mentions; `Broken` where it has no or another record."""
    if storage.key not in described.storages:
        raise Broken(f"no record for the storage {storage.key[:80]!r}")
    size, _ = described.storages[storage.key]
    width = ITEM_SIZES[storage.dtype]
    need = storage.numel * width
    if not need <= size < need + width:
        raise Broken(f"the storage {storage.key[:80]!r} has {size} bytes, wanted {need}")
    return size


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

    from loopwright.checkpoint.leaves import plain_dtype

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

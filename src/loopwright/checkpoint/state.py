"""`pack` a nested state into tensors and a JSON tree, `unpack` them to the same types again."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from loopwright.checkpoint.codec import decode_all, encode, no_leaf
from loopwright.checkpoint.errors import Broken, StateError
from loopwright.checkpoint.leaves import (
    DTYPES,
    NAMES,
    RAW,
    array_bytes,
    as_dtype,
    check_tensor,
    identity,
    make_array,
    read_small_leaf,
    safetensors_name,
    small_leaf,
)
from loopwright.checkpoint.tensorfile import SIZES

GROUP = re.compile(r"[A-Za-z0-9_]{1,64}")
MAX_GROUPS = 32
REST = "tensors"


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor on its way to a file: safetensors dtype, shape, and the bytes' owner."""

    dtype: str
    shape: tuple[int, ...]
    tensor: torch.Tensor

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return SIZES[self.dtype] * math.prod(self.shape)

    def data(self) -> memoryview:
        """The bytes, little-endian, row by row; copied from a device or gaps when needed."""
        return _flat_bytes(self.tensor).numpy().data


@dataclass(slots=True)
class Packed:
    """A state as data: ``tree`` is JSON, ``groups`` maps a file stem to its named tensors."""

    tree: Any
    groups: dict[str, dict[str, Stored]] = field(default_factory=dict)

    def all(self) -> Iterator[Stored]:
        """Every stored tensor once."""
        return (stored for group in self.groups.values() for stored in group.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(stored.nbytes for stored in self.all())


def pack(state: Any) -> Packed:
    """Take a state apart into named tensors and a JSON tree; nothing is copied, nothing changed.

    A tensor found twice is stored once. `StateError` names the place of what is not data.

    >>> packed = pack({"model": {"w": torch.zeros(2)}, "lr": 0.1, "seen": (1, b"x")})
    >>> list(packed.groups["model"]), unpack_packed(packed)["seen"]
    (['w'], (1, b'x'))
    """
    packer = _Packer(state)
    try:
        tree = encode(state, packer.leaf)
    except RecursionError as error:
        raise StateError("the state is nested too deeply; is it its own member?") from error
    return Packed(tree, packer.groups)


def unpack(tree: Any, tensors: Mapping[str, Mapping[str, torch.Tensor]]) -> Any:
    """The state from its tree and the tensors of its files (stem, then name)."""
    return decode_all(tree, _Unpacker(tensors).leaf)


def unpack_packed(packed: Packed) -> Any:
    """`unpack` without the way over a disk: what a load would give, sharing the memory."""
    tensors = {
        stem: {
            n: as_dtype(_flat_bytes(s.tensor), DTYPES[s.dtype], s.shape) for n, s in group.items()
        }
        for stem, group in packed.groups.items()
    }
    return unpack(packed.tree, tensors)


Groups = dict[str, dict[str, Stored]]


def snapshot(packed: Packed, spare: Mapping[str, Mapping[str, Stored]] | None = None) -> Packed:
    """The same with every tensor copied to CPU memory: training may go on changing its own.

    Memory of an earlier snapshot given as ``spare`` is written over where it fits: touching new
    memory costs more than the copy.
    """
    groups: Groups = {}
    for stem, group in packed.groups.items():
        old = (spare or {}).get(stem, {})
        groups[stem] = {
            name: Stored(s.dtype, s.shape, _copy(s.tensor, old.get(name)))
            for name, s in group.items()
        }
    return Packed(packed.tree, groups)


def nonfinite(state: Any, *, buffers: Collection[str] = ()) -> list[str]:
    """Names of floating tensors that hold NaN or infinity; such a state is no good state.

    Those of ``buffers`` may mean their infinity (a mask of attention), but no NaN.

    >>> nonfinite({"model": {"w": torch.tensor([1.0, float("nan")]), "b": torch.zeros(1)}})
    ['model.w']
    """
    return [
        f"{stem}.{name}"
        for stem, group in pack(state).groups.items()
        for name, stored in group.items()
        if stored.tensor.is_floating_point() and not bool(_all_finite(stored.tensor))
        if name.removeprefix("module.") not in buffers or bool(stored.tensor.isnan().any())
    ]


def digest(state: Any) -> str:
    """A name for the content of a state: the same for equal values, whatever file they are in.

    >>> digest({"w": torch.ones(2)}) == digest({"w": torch.ones(2)}) != digest({"w": torch.ones(3)})
    True
    """
    packed = pack(state)
    found = hashlib.sha256(json.dumps(packed.tree).encode())
    for stored in packed.all():
        found.update(stored.data())
    return found.hexdigest()


def _all_finite(tensor: torch.Tensor) -> torch.Tensor:
    wide = tensor.float() if tensor.element_size() == 1 else tensor
    return torch.isfinite(wide).all()


def _copy(tensor: torch.Tensor, spare: Stored | None = None) -> torch.Tensor:
    """A CPU copy that owns its memory, or lives in the spare one's."""
    with torch.no_grad():
        if spare is not None and (spare.tensor.dtype, spare.tensor.shape) == (
            tensor.dtype,
            tensor.shape,
        ):
            return spare.tensor.copy_(tensor.detach())
        return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _flat_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor as a flat CPU tensor; shares memory when it can."""
    if tensor.numel() == 0:
        return torch.empty(0, dtype=torch.uint8)
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    flat = plain.reshape(-1)
    if flat.stride(0) != 1:  # one element of a strided view counts as contiguous
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8)


class _Packer:
    """Collects tensors while `encode` walks the state; knows where each group begins."""

    def __init__(self, state: Any) -> None:
        self.groups: dict[str, dict[str, Stored]] = {}
        self.seen: dict[Any, dict[str, Any]] = {}
        self.stems = _stems(state)

    def leaf(self, value: Any, path: str) -> Any:
        """The JSON stand-in of what JSON cannot hold."""
        if isinstance(value, torch.Tensor):
            return self._tensor(value, path)
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        return small_leaf(value, path)

    def _tensor(self, value: torch.Tensor, path: str) -> Any:
        check_tensor(value, path)
        key = identity(value)
        if key not in self.seen:
            self.seen[key] = self._store_tensor(value, path)
        extra = {"param": True} if isinstance(value, torch.nn.Parameter) else {}
        if value.requires_grad:
            extra["grad"] = True
        return {**self.seen[key], **extra}

    def _store_tensor(self, value: torch.Tensor, path: str) -> dict[str, Any]:
        if value.dtype in NAMES:
            stored = Stored(NAMES[value.dtype], tuple(value.shape), value)
            return {"$": "tensor", **self._store(stored, path)}
        stored = Stored("U8", (value.numel() * value.element_size(),), value)
        raw = {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape)}
        return {"$": "tensor", **self._store(stored, path), **raw}

    def _array(self, value: np.ndarray, path: str) -> Any:
        if type(value) is not np.ndarray:
            return no_leaf(value, path)
        dtype, raw = array_bytes(value, path)
        name = safetensors_name(value.dtype)
        if name is not None:
            stored = Stored(name, value.shape, raw)
        else:
            stored = Stored("U8", (raw.numel(),), raw)
        place = self._store(stored, path)
        return {"$": "ndarray", **place, "dtype": dtype, "shape": list(value.shape)}

    def _store(self, stored: Stored, path: str) -> dict[str, str]:
        """Put a tensor into its group under a name of its own; where it is."""
        rest = path.removeprefix("state").lstrip(".")
        stem = next((s for s in self.stems if rest.startswith((f"{s}.", f"{s}["))), REST)
        name = rest if stem == REST else rest[len(stem) :].lstrip(".")
        group = self.groups.setdefault(stem, {})
        unique, count = name or "value", 2
        while unique in group or unique == "__metadata__":
            unique, count = f"{name}#{count}", count + 1
        group[unique] = stored
        return {"file": stem, "name": unique}


def _stems(state: Any) -> list[str]:
    """Top-level keys that get a file of their own, longest first."""
    if not isinstance(state, dict):
        return []
    stems = [
        key
        for key, value in state.items()
        if isinstance(key, str) and GROUP.fullmatch(key) and isinstance(value, dict | list | tuple)
    ]
    return sorted(stems, key=len, reverse=True) if len(stems) <= MAX_GROUPS else []


class _Unpacker:
    """Looks tensors up while `decode` walks the tree; a tensor named twice is one tensor."""

    def __init__(self, tensors: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        self.tensors = tensors
        self.made: dict[Any, torch.Tensor] = {}

    def leaf(self, tree: dict[str, Any]) -> Any:
        """The value of one typed leaf."""
        if tree.get("$") not in ("tensor", "ndarray"):
            return read_small_leaf(tree)
        try:
            raw = self.tensors[tree["file"]][tree["name"]]
            if tree["$"] == "ndarray":
                return make_array(tree["dtype"], tree["shape"], raw)
            return self._tensor(tree, raw)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise Broken(f"no tensor as described: {str(tree)[:120]} ({error})") from error

    def _tensor(self, tree: dict[str, Any], raw: torch.Tensor) -> torch.Tensor:
        key = (tree["file"], tree["name"], bool(tree.get("param")), bool(tree.get("grad")))
        if key not in self.made:
            self.made[key] = _dress(tree, raw)
        return self.made[key]


def _dress(tree: dict[str, Any], raw: torch.Tensor) -> torch.Tensor:
    """Raw bytes of a rare dtype as that; a parameter as a parameter; grad as it was."""
    value = raw
    if "dtype" in tree:
        value = as_dtype(raw.reshape(-1), RAW[str(tree["dtype"])], tree["shape"])
    grad = bool(tree.get("grad"))
    if tree.get("param"):
        return torch.nn.Parameter(value, requires_grad=grad)
    return value.requires_grad_(True) if grad else value

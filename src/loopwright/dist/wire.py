"""Objects as bytes and back without executing anything: a JSON tree, tensors and arrays behind it.

Layout: 8 bytes little-endian length of the tree, the tree, then the raw bytes of every tensor.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

_TAG = "\x00"


class UnsendableError(TypeError):
    """An object of a kind that is not sent between processes; the message names where it is."""


def encode(value: Any) -> bytes:
    """Bytes of numbers, strings, None, tensors, arrays, and lists, tuples, sets, dicts of them.

    Raises UnsendableError for anything else, with its path.

    >>> decode(encode({"a": (1, 2.5), 3: torch.ones(2)}))
    {'a': (1, 2.5), 3: tensor([1., 1.])}
    """
    blobs = bytearray()
    tree = json.dumps(_down(value, blobs, "value")).encode()
    return b"".join([len(tree).to_bytes(8, "little"), tree, blobs])


def decode(data: bytes | bytearray | memoryview) -> Any:
    """The object that ``encode`` made bytes of. Raises ValueError for bytes that are none."""
    view = memoryview(data)
    size = int.from_bytes(view[:8], "little")
    if size > len(view) - 8:
        raise ValueError(f"not an encoded object: it says {size} bytes, there are {len(view) - 8}")
    return _up(json.loads(bytes(view[8 : 8 + size])), view[8 + size :])


def _down(value: Any, blobs: bytearray, path: str) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [_down(v, blobs, f"{path}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, tuple | set | frozenset):
        kind = "tuple" if isinstance(value, tuple) else "set"
        return {_TAG: kind, "of": [_down(v, blobs, f"{path}[{i}]") for i, v in enumerate(value)]}
    if isinstance(value, dict):
        return _dict_down(value, blobs, path)
    if isinstance(value, torch.Tensor):
        return _tensor_down(value, blobs)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        shape, kind = list(value.shape), "array"
        at = _put(np.ascontiguousarray(value).tobytes(), blobs)
        return {_TAG: kind, "dtype": value.dtype.str, "shape": shape, "at": at}
    if isinstance(value, bytes | bytearray):
        return {_TAG: "bytes", "at": _put(bytes(value), blobs)}
    if isinstance(value, bool | int | float | str):
        return next(kind(value) for kind in (bool, int, float, str) if isinstance(value, kind))
    raise UnsendableError(
        f"{path} is a {type(value).__module__}.{type(value).__qualname__}: between processes go "
        "numbers, strings, tensors, arrays, and lists, tuples, sets and dicts of them"
    )


def _dict_down(value: dict[Any, Any], blobs: bytearray, path: str) -> Any:
    if all(type(k) is str and not k.startswith(_TAG) for k in value):
        return {k: _down(v, blobs, f"{path}.{k}") for k, v in value.items()}
    pairs = [
        [_down(k, blobs, f"key of {path}"), _down(v, blobs, f"{path}[{k!r}]")]
        for k, v in value.items()
    ]
    return {_TAG: "dict", "of": pairs}


def _tensor_down(value: torch.Tensor, blobs: bytearray) -> Any:
    flat = value.detach().cpu().contiguous().reshape(-1)
    raw = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return {
        _TAG: "tensor",
        "dtype": str(value.dtype).removeprefix("torch."),
        "shape": list(value.shape),
        "at": _put(raw, blobs),
    }


def _put(raw: bytes, blobs: bytearray) -> list[int]:
    start = len(blobs)
    blobs += raw
    return [start, len(raw)]


def _up(tree: Any, blob: memoryview) -> Any:
    if isinstance(tree, list):
        return [_up(v, blob) for v in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(_TAG)
    if kind is None:
        return {k: _up(v, blob) for k, v in tree.items()}
    if kind in ("tuple", "set"):
        parts = [_up(v, blob) for v in tree["of"]]
        return tuple(parts) if kind == "tuple" else set(parts)
    if kind == "dict":
        return {_up(k, blob): _up(v, blob) for k, v in tree["of"]}
    start, length = tree["at"]
    raw = bytearray(blob[start : start + length])
    if kind == "bytes":
        return bytes(raw)
    return _tensor_up(tree, raw) if kind == "tensor" else _array_up(tree, raw)


def _tensor_up(tree: dict[str, Any], raw: bytearray) -> torch.Tensor:
    dtype = getattr(torch, tree["dtype"], None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{tree['dtype']!r} is no tensor type")
    if not raw:
        return torch.empty(tree["shape"], dtype=dtype)
    return torch.frombuffer(raw, dtype=torch.uint8).view(dtype).reshape(tree["shape"])


def _array_up(tree: dict[str, Any], raw: bytearray) -> Any:
    array = np.frombuffer(raw, dtype=np.dtype(tree["dtype"])).reshape(tree["shape"])
    return array if tree["shape"] else array[()]

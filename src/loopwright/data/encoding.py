"""Annotations as bytes: JSON, with tags for what JSON has no word for; nothing is ever executed.

A list of dicts costs each worker its own copy (counting references writes to every page); one
array of bytes is shared by all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import PurePath, PurePosixPath
from typing import Any

import numpy as np
import torch

# kept: json.dumps makes a new encoder a call where the arguments are not its defaults
_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_read = json.JSONDecoder().decode
_TAG = "!"
_TAGGED = b"\x01"


def encode(value: Any) -> bytes:
    """The bytes of nested dicts, lists, tuples, sets, numbers, text, bytes, arrays and tensors.

    Raises TypeError for anything else.

    >>> decode(encode({"size": (3, 4), 1: [None, True]}))
    {'size': (3, 4), 1: [None, True]}
    """
    try:
        text = _write(value)
        if _read(text) == value:
            return text.encode()
    except (TypeError, ValueError, RuntimeError):
        pass  # an array, a tuple, a key that is no text: said with tags
    return _TAGGED + _write(_tagged(value)).encode()


def decode(data: bytes) -> Any:
    """What ``encode`` was given."""
    if data[:1] == _TAGGED:
        return _untagged(_read(data[1:].decode()))
    return _read(data.decode())


def _tagged(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, dict):
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: _tagged(item) for key, item in value.items()}
        return _with("dict", [[_tagged(key), _tagged(item)] for key, item in value.items()])
    if isinstance(value, tuple | set | frozenset):
        items = value if isinstance(value, tuple) else sorted(value, key=repr)
        return _with(type(value).__name__, [_tagged(item) for item in items])
    if isinstance(value, bytes):
        return _with("bytes", _text(value))
    if isinstance(value, PurePath):
        return _with("path", str(value))
    return _tagged_array(value)


def _tagged_array(value: Any) -> Any:
    kind = "tensor" if isinstance(value, torch.Tensor) else "array"
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        kind, value = "scalar", np.asarray(value)
    if not isinstance(value, np.ndarray) or value.dtype.hasobject or value.dtype.names:
        raise TypeError(f"{type(value).__name__} cannot be serialised; set serialize_data=False")
    return _with(kind, [value.dtype.str, list(value.shape), _text(value.tobytes())])


def _with(tag: str, content: Any) -> dict[str, Any]:
    return {_TAG: tag, "v": content}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _untagged(item) for key, item in value.items()}
    return _READ[value[_TAG]](value["v"])


def _array(content: Any) -> np.ndarray:
    dtype, shape, text = content
    # a copy: arrays over a bytes object cannot be written to
    return np.frombuffer(base64.b64decode(text), np.dtype(dtype)).reshape(shape).copy()


_READ: dict[str, Any] = {
    "dict": lambda pairs: {_untagged(key): _untagged(item) for key, item in pairs},
    "tuple": lambda items: tuple(map(_untagged, items)),
    "set": lambda items: set(map(_untagged, items)),
    "frozenset": lambda items: frozenset(map(_untagged, items)),
    "bytes": base64.b64decode,
    "path": PurePosixPath,
    "array": _array,
    "scalar": lambda content: _array(content)[()],
    "tensor": lambda content: torch.from_numpy(_array(content)),
}


class Packed:
    """A list of values as one byte array and the offsets of their ends.

    >>> Packed([{"a": 1}, {"b": 2}])[1]
    {'b': 2}
    """

    def __init__(self, values: Iterable[Any]) -> None:
        parts = [np.frombuffer(encode(value), dtype=np.uint8) for value in values]
        self.bytes = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
        self.ends = np.cumsum([len(part) for part in parts], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> Any:
        start = 0 if index == 0 else int(self.ends[index - 1])
        return decode(self.bytes[start : int(self.ends[index])].tobytes())

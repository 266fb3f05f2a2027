"""What lies at the ends of a state: tensors, arrays and small values, checked and as JSON."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from loopwright.checkpoint.codec import no_leaf, no_tree_leaf
from loopwright.checkpoint.errors import Broken, StateError

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "I32": torch.int32, "I64": torch.int64, "U16": torch.uint16, "U32": torch.uint32,
    "U64": torch.uint64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32,
    "F64": torch.float64, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip
if hasattr(torch, "float8_e8m0fnu"):
    DTYPES["F8_E8M0"] = torch.float8_e8m0fnu
NAMES = {dtype: name for name, dtype in DTYPES.items()}
RAW = {"complex64": torch.complex64, "complex128": torch.complex128, "complex32": torch.complex32}
ARRAY_KINDS = {"b": "BOOL", "i": "I", "u": "U", "f": "F"}
ARRAY_DTYPE = re.compile(r"[<>|=]?[a-zA-Z][0-9]{0,6}(\[[0-9]{0,4}[a-z]{1,2}\])?")
TENSOR_TYPES = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


def as_dtype(raw: torch.Tensor, dtype: torch.dtype, shape: Sequence[int]) -> torch.Tensor:
    """Flat bytes as the tensor they were; ``RuntimeError`` when they do not fit."""
    if raw.numel() == 0 and 0 in shape:
        return torch.empty(tuple(shape), dtype=dtype)
    return raw.view(dtype).view(tuple(shape))


def check_tensor(value: torch.Tensor, path: str) -> None:
    """`StateError` for tensors that are no plain array of numbers."""
    if type(value) not in TENSOR_TYPES:
        raise StateError(f"{path} is a {type(value).__name__}; give its full plain tensor")
    if value.device.type == "meta":
        raise StateError(f"{path} is on the meta device: it has no values")
    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        raise StateError(f"{path} is {value.layout}, {value.dtype}; wanted a dense plain tensor")
    if value.dtype not in NAMES and str(value.dtype).removeprefix("torch.") not in RAW:
        raise StateError(f"{path}: tensors of {value.dtype} cannot be stored")


def identity(value: torch.Tensor) -> Any:
    """Equal for tensors that are the same view of the same memory."""
    if value.numel() == 0:
        return id(value)
    place = (value.device, value.data_ptr(), value.dtype, value.is_conj(), value.is_neg())
    return (*place, tuple(value.shape), value.stride())


def array_bytes(value: np.ndarray, path: str) -> tuple[str, torch.Tensor]:
    """The dtype string and the bytes of an array; `StateError` for objects and structures."""
    if value.dtype.hasobject or value.dtype.names is not None:
        raise StateError(f"{path}: arrays of {value.dtype} are not plain data")
    copy = np.frombuffer(value.tobytes(), np.uint8).copy()
    return value.dtype.str, torch.from_numpy(copy)


def safetensors_name(dtype: np.dtype) -> str | None:
    """The safetensors name of a native numpy dtype, ``None`` where there is none."""
    if not dtype.isnative or dtype.kind not in ARRAY_KINDS or dtype.itemsize > 8:
        return None
    kind = ARRAY_KINDS[dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{8 * dtype.itemsize}"


def make_array(dtype: Any, shape: Any, raw: torch.Tensor) -> np.ndarray:
    """The array of these bytes; ``ValueError``/``TypeError`` when they do not fit."""
    wanted = plain_dtype(dtype)
    if math.prod(shape) * wanted.itemsize != raw.numel() * raw.element_size():
        raise ValueError(f"{raw.numel() * raw.element_size()} bytes for {dtype}{list(shape)}")
    if raw.numel() == 0:
        return np.empty(shape, wanted)
    flat = raw.contiguous().reshape(-1).view(torch.uint8).numpy()
    return np.frombuffer(flat.tobytes(), wanted).reshape(shape).copy()


def plain_dtype(name: Any) -> np.dtype:
    """The numpy dtype of a plain type string; ``TypeError`` for objects, structures, anything."""
    if type(name) is not str or not ARRAY_DTYPE.fullmatch(name):
        raise TypeError(f"{str(name)[:40]!r} is not a plain dtype")
    dtype = np.dtype(name)
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
        raise TypeError(f"{dtype} is not plain data")
    return dtype


def small_leaf(value: Any, path: str) -> Any:
    """JSON for the little torch and numpy values: scalars, sizes, dtypes, devices."""
    if isinstance(value, np.generic) and not value.dtype.hasobject and value.dtype.names is None:
        raw = base64.b64encode(value.tobytes()).decode()
        return {"$": "npscalar", "dtype": value.dtype.str, "v": raw}
    if type(value) is torch.Size:
        return {"$": "size", "v": list(value)}
    if isinstance(value, torch.dtype):
        return {"$": "dtype", "v": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"$": "device", "v": str(value)}
    return no_leaf(value, path)


def read_small_leaf(tree: dict[str, Any]) -> Any:
    """What `small_leaf` wrote."""
    kind, value = tree.get("$"), tree.get("v")
    try:
        if kind == "npscalar":
            return _read_scalar(tree)
        if kind == "size":
            return torch.Size(value)  # type: ignore[arg-type]
        if kind == "device":
            return torch.device(str(value))
        if kind == "dtype":
            return dtype_named(str(value))
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise Broken(f"a {kind} is written in a way it never is: {str(tree)[:80]}") from error
    return no_tree_leaf(tree)


def dtype_named(name: str) -> torch.dtype:
    """``torch.float32`` for ``'float32'``; ``TypeError`` for any other attribute of torch."""
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise TypeError(f"torch has no dtype {name[:40]!r}")
    return found


def _read_scalar(tree: dict[str, Any]) -> Any:
    dtype = plain_dtype(tree["dtype"])
    raw = base64.b64decode(tree["v"], validate=True)
    if len(raw) != dtype.itemsize:
        raise ValueError("bytes do not fit the dtype")
    return np.ndarray((), dtype, raw)[()]

"""What a pickle may hold for us: inert descriptions of tensors, arrays and a few known objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A name a file mentions: never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers in another record of the file."""

    dtype: str
    key: str
    numel: int


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A view of a storage, as the file describes it; checked when it is built."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    grad: bool
    dtype: str
    param: bool = False
    flags: tuple[str, ...] = ()


@dataclass(slots=True)
class DtypeSpec:
    """A numpy dtype by its type string; byte order comes with the build step."""

    code: str
    order: str = ""


@dataclass(slots=True)
class ArraySpec:
    """A numpy array: dtype, shape, bytes."""

    dtype: DtypeSpec | None = None
    shape: tuple[int, ...] = ()
    raw: bytes = b""
    fortran: bool = False
    scalar: bool = False


@dataclass(slots=True)
class Inert:
    """An object of a known class as the data it carried."""

    kind: str
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A small torch value by kind: ``size``, ``device``; or a name nobody calls."""

    kind: str
    value: Any


STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
    "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "BFloat16Storage": "bfloat16", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip
ITEM_SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint8": 1, "bool": 1, "bfloat16": 2, "complex64": 8, "complex128": 16, "uint16": 2,
    "uint32": 4, "uint64": 8, "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "complex32": 4,
}  # fmt: skip

"""What each constructor that a pickle may call describes: a table, and the makers it names.

The table is the whole of it. Nothing is looked up in any module; a name that does not stand here is
refused by name.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from loopwright.checkpoint.codec import KEY_LIMIT
from loopwright.checkpoint.errors import Refused
from loopwright.checkpoint.inert import (
    ITEM_SIZES,
    STORAGES,
    ArraySpec,
    DtypeSpec,
    Global,
    Inert,
    Storage,
    Tagged,
    TensorSpec,
)

KEYS = (str, int, float, bool, type(None), bytes)
PLAIN_TYPES = ("int", "float", "bool", "str", "list", "dict", "set", "tuple", "complex")
BUILTINS = ("builtins", "__builtin__")
NUMPY_CORES = ("numpy.core", "numpy._core")
OBJECTS = {
    ("mmengine.logging.history_buffer", "HistoryBuffer"): "HistoryBuffer",
    ("argparse", "Namespace"): "Namespace",
}


def known(module: str, name: str) -> bool:
    """Whether a name may be mentioned at all."""
    if (module, name) in CALLS or (module, name) in OBJECTS or (module, name) in MENTIONS:
        return True
    if module == "torch" and (name in STORAGES or name in ITEM_SIZES):
        return True
    return module == "torch.storage" and name == "UntypedStorage"


def check_key(key: Any) -> Any:
    """A dict key or set member that is cheap and safe to hash."""
    if type(key) is int and abs(key) >= KEY_LIMIT:
        raise Refused("a dict key beyond any index")
    if isinstance(key, (*KEYS, Global)):
        return key
    raise Refused(f"a {type(key).__name__} is no key of a plain dict")


def counts(value: Any, what: str) -> tuple[int, ...]:
    """A tuple of ints from 0 up, at most 64 of them."""
    if isinstance(value, Tagged) and value.kind == "size":
        value = value.value
    if not isinstance(value, tuple | list) or len(value) > 64:
        raise Refused(f"{what} is not a short tuple of counts")
    for item in value:
        if type(item) is not int or not 0 <= item < 1 << 63:
            raise Refused(f"{what} is not a tuple of counts: {str(item)[:40]}")
    return tuple(value)


def make_storage(pid: Any) -> Storage:
    """The storage a persistent id names: ``('storage', type, key, location, numel, …)``."""
    if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage":
        raise Refused("a persistent id that is no storage")
    kind, key, numel = pid[1], pid[2], pid[4]
    if not isinstance(kind, Global) or kind.name not in STORAGES:
        raise Refused(f"a storage of the unknown type {str(kind)[:80]}")
    if type(key) is not str or type(numel) is not int or not 0 <= numel < 1 << 63:
        raise Refused("a storage without a proper key and size")
    if len(pid) > 5 and pid[5] is not None:
        raise Refused("a storage that is a view of another: re-save it with a newer torch")
    return Storage(STORAGES[kind.name], key, numel)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, grad: Any = False) -> TensorSpec:
    if not isinstance(storage, Storage):
        raise Refused("a tensor that is no view of a storage")
    if type(grad) is not bool:
        raise Refused("requires_grad is no bool")
    start = counts((offset,), "a tensor's offset")[0]
    shape, steps = counts(size, "a tensor's size"), counts(stride, "a tensor's stride")
    if len(shape) != len(steps):
        raise Refused("a tensor's size and stride differ in length")
    return TensorSpec(storage, start, shape, steps, grad, storage.dtype)


def _tensor_v2(*args: Any) -> TensorSpec:
    return replace(_tensor(*args[:5]), flags=_flags(args[6:]))


def _tensor_v3(*args: Any) -> TensorSpec:
    dtype = args[6]
    if not isinstance(dtype, Global) or dtype.module != "torch" or dtype.name not in ITEM_SIZES:
        raise Refused(f"a tensor of the unknown dtype {str(dtype)[:60]}")
    return replace(_tensor(*args[:5]), dtype=dtype.name, flags=_flags(args[7:]))


def _flags(rest: tuple[Any, ...]) -> tuple[str, ...]:
    """Torch's lazy conjugate and negative bits."""
    metadata = rest[0] if rest and rest[0] is not None else {}
    if not isinstance(metadata, dict) or not set(metadata) <= {"conj", "neg"}:
        raise Refused("a tensor with metadata of an unknown kind")
    return tuple(sorted(str(key) for key, on in metadata.items() if on))


def _parameter(data: Any, grad: Any, *rest: Any) -> TensorSpec:
    if not isinstance(data, TensorSpec) or type(grad) is not bool:
        raise Refused("a parameter that is no tensor")
    return replace(data, grad=grad, param=True)


def _from_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    """A tensor with attributes; the attributes are dropped."""
    plain = (Global("torch", "Tensor"), Global("torch.nn.parameter", "Parameter"))
    if kind not in plain or not isinstance(function, Global) or type(args) is not tuple:
        raise Refused(f"a tensor of the class {str(kind)[:80]}")
    made = call(function, args)
    if not isinstance(made, TensorSpec):
        raise Refused("a rebuilt tensor that is none")
    return _parameter(made, made.grad) if kind == plain[1] else made


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((check_key(key), value) for key, value in _pairs(pairs))


def _counter(values: Any = ()) -> Counter[Any]:
    made: Counter[Any] = Counter()
    for key, value in _pairs(values):
        made[check_key(key)] = value
    return made


def _pairs(values: Any) -> list[tuple[Any, Any]]:
    pairs = list(values.items()) if isinstance(values, dict) else values
    if not isinstance(pairs, list | tuple) or any(
        not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs
    ):
        raise Refused("a dict made of something else than pairs")
    return [(pair[0], pair[1]) for pair in pairs]


def _encode(text: Any, codec: Any) -> bytes:
    if type(text) is not str or codec not in ("latin1", "latin-1"):
        raise Refused(f"bytes written through the codec {str(codec)[:40]}")
    return text.encode("latin-1")


def _set(values: Any = ()) -> set[Any]:
    if not isinstance(values, list | tuple | set):
        raise Refused("a set of something else than members")
    return {check_key(value) for value in values}


def _bytearray(raw: Any = b"", codec: Any = None) -> bytearray:
    return bytearray(raw if type(raw) is bytes and codec is None else _encode(raw, codec))


def _complex(real: Any, imag: Any) -> complex:
    if not isinstance(real, int | float) or not isinstance(imag, int | float):
        raise Refused("a complex number of other things than numbers")
    return complex(real, imag)


def _attribute(owner: Any, name: Any) -> Tagged:
    """``getattr`` of MMEngine's history buffers: a name and nothing more."""
    if owner != Global("mmengine.logging.history_buffer", "HistoryBuffer"):
        raise Refused(f"builtins.getattr of {str(owner)[:80]}")
    return Tagged("name", str(name)[:80])


def _dtype(code: Any, *rest: Any) -> DtypeSpec:
    if type(code) is not str or not 1 <= len(code) <= 12 or code.lstrip("<>|=")[:1] in ("O", "V"):
        raise Refused(f"a numpy dtype {str(code)[:40]!r}")
    return DtypeSpec(code)


def _empty_array(kind: Any, shape: Any, code: Any) -> ArraySpec:
    if kind != Global("numpy", "ndarray"):
        raise Refused(f"an array of the class {str(kind)[:80]}")
    return ArraySpec()


def _scalar(dtype: Any, raw: Any) -> ArraySpec:
    return fill_array(ArraySpec(scalar=True), dtype, (), raw)


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> ArraySpec:
    spec = fill_array(ArraySpec(), dtype, shape, raw)
    spec.fortran = order == "F"
    return spec


def fill_array(spec: ArraySpec, dtype: Any, shape: Any, raw: Any) -> ArraySpec:
    """Give an array its content; types are checked here, sizes when it is built."""
    data = raw.encode("latin-1", "strict") if type(raw) is str else raw
    if not isinstance(dtype, DtypeSpec) or not isinstance(data, bytes | bytearray):
        raise Refused("an array that is not plain numbers")
    spec.dtype, spec.shape, spec.raw = dtype, counts(shape, "an array's shape"), bytes(data)
    return spec


def build(target: Any, state: Any) -> None:
    """The pickle step that fills an object made before."""
    if isinstance(target, ArraySpec) and type(state) is tuple and len(state) == 5:
        fill_array(target, state[2], state[1], state[4])
        target.fortran = bool(state[3])
    elif isinstance(target, DtypeSpec) and type(state) is tuple and len(state) >= 2:
        if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise Refused("a numpy dtype with fields")
        target.order = state[1]
    elif isinstance(target, Inert) and isinstance(state, dict):
        target.state.update({str(key): value for key, value in state.items()})
    elif type(target) is OrderedDict and isinstance(state, dict):
        if isinstance(state.get("_metadata"), dict):
            target._metadata = state["_metadata"]  # type: ignore[attr-defined]
    elif type(target) is not TensorSpec or not isinstance(state, dict):
        raise Refused(f"a {type(target).__name__} filled with {type(state).__name__}")


def call(function: Any, args: tuple[Any, ...]) -> Any:
    """What a known constructor describes; `Refused` names any other."""
    if not isinstance(function, Global):
        raise Refused(f"wants to call a {type(function).__name__}")
    maker = CALLS.get((function.module, function.name))
    if maker is None:
        raise Refused(f"wants to call {function}")
    try:
        return maker(*args)
    except (TypeError, IndexError, UnicodeError, OverflowError) as error:
        raise Refused(f"{function} with arguments it never gets") from error


def make_object(kind: Any, args: tuple[Any, ...]) -> Any:
    """An object of a known class, empty: its state comes with `build`."""
    if isinstance(kind, Global):
        if (kind.module, kind.name) in OBJECTS and not args:
            return Inert(OBJECTS[kind.module, kind.name])
        if kind == Global("torch.torch_version", "TorchVersion") and len(args) == 1:
            return str(args[0])[:80]
        if (kind.module, kind.name) in CALLS:
            return call(kind, args)
    raise Refused(f"wants an object of {str(kind)[:80]}")


CALLS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _ordered,
    ("collections", "Counter"): _counter,
    ("collections", "defaultdict"): lambda factory=None: {},
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch", "Size"): lambda size=(): Tagged("size", counts(size, "a size")),
    ("torch", "device"): lambda *args: Tagged("device", ":".join(str(a)[:20] for a in args)),
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _dtype,
    **{(f"{core}.multiarray", "_reconstruct"): _empty_array for core in NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _frombuffer for core in NUMPY_CORES},
    **{(module, "set"): _set for module in BUILTINS},
    **{(module, "frozenset"): lambda values=(): frozenset(_set(values)) for module in BUILTINS},
    **{(module, "bytes"): lambda: b"" for module in BUILTINS},
    **{(module, "bytearray"): _bytearray for module in BUILTINS},
    **{(module, "complex"): _complex for module in BUILTINS},
    **{(module, "getattr"): _attribute for module in BUILTINS},
}
MENTIONS = {
    ("numpy", "ndarray"),
    ("torch", "Tensor"),
    ("torch.nn.parameter", "Parameter"),
    ("torch.torch_version", "TorchVersion"),
    *((module, name) for module in BUILTINS for name in PLAIN_TYPES),
}

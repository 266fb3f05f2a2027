"""Nested Python values as typed JSON and back, to the same types and the last bit.

Plain JSON values stay as they are; everything else is ``{"$": kind, …}``. What is neither (a
tensor, an array) goes through the ``leaf`` function of the caller, so that this module needs
neither torch nor numpy.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from loopwright.checkpoint.errors import Broken, StateError

MAX_DEPTH = 100
MAX_JSON = 32 << 20
SAFE_INT = 1 << 63
# Below this, whole numbers hash to themselves: nobody can make a dict of them slow.
KEY_LIMIT = 1 << 60
MAX_TUPLE_KEYS = 10_000

Leaf = Callable[[Any, str], Any]


def encode(value: Any, leaf: Leaf, *, path: str = "state", depth: int = 0) -> Any:
    """``value`` as a JSON tree; `StateError` naming the place of what cannot be stored.

    >>> encode((1, float("inf"), {2: b"x"}), no_leaf)["v"][2]
    {'$': 'dict', 'v': [[2, {'$': 'bytes', 'v': 'eA=='}]]}
    """
    if depth > MAX_DEPTH:
        raise StateError(f"{path} is nested deeper than {MAX_DEPTH}; is it its own member?")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -SAFE_INT <= value < SAFE_INT else {"$": "int", "v": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
    if kind is list:
        return [encode(v, leaf, path=f"{path}[{i}]", depth=depth + 1) for i, v in enumerate(value)]
    if isinstance(value, dict):
        return _encode_dict(value, leaf, path, depth)
    if kind in (tuple, set, frozenset):
        return _encode_series(value, leaf, path, depth)
    if kind in (bytes, bytearray):
        return {"$": kind.__name__, "v": base64.b64encode(value).decode()}
    if kind is complex:
        parts = [encode(part, leaf, path=path) for part in (value.real, value.imag)]
        return {"$": "complex", "v": parts}
    return leaf(value, path)


def _encode_series(value: Any, leaf: Leaf, path: str, depth: int) -> Any:
    """Tuples in order; sets by the text of their members, so that equal sets are equal bytes."""
    members = value if isinstance(value, tuple) else sorted(value, key=repr)
    if not isinstance(value, tuple):
        check_keys(members, path)
    inner = [encode(v, leaf, path=f"{path}[{i}]", depth=depth + 1) for i, v in enumerate(members)]
    return {"$": type(value).__name__, "v": inner}


def _encode_dict(value: dict[Any, Any], leaf: Leaf, path: str, depth: int) -> Any:
    """Dicts with string keys as JSON objects, others as pairs; subclasses as what they hold."""
    step = depth + 1
    if type(value) is OrderedDict or type(value) is Counter:
        return _encode_named_dict(value, leaf, path, depth)
    if all(type(key) is str for key in value) and "$" not in value:
        return {k: encode(v, leaf, path=f"{path}.{k}", depth=step) for k, v in value.items()}
    pairs = []
    check_keys(value, path)
    for key, item in value.items():
        name = encode(key, leaf, path=f"{path} key", depth=step)
        pairs.append([name, encode(item, leaf, path=f"{path}.{key}", depth=step)])
    return {"$": "dict", "v": pairs}


def check_keys(keys: Iterable[Any], path: str) -> None:
    """`StateError` for keys whose hashes can be made to collide: huge numbers, many tuples."""
    tuples = 0
    for key in keys:
        if isinstance(key, int) and abs(key) >= KEY_LIMIT:
            raise StateError(f"{path} has the key {str(key)[:40]}, beyond any index")
        tuples += isinstance(key, tuple | frozenset)
    if tuples > MAX_TUPLE_KEYS:
        raise StateError(f"{path} has {tuples} tuples as keys; at most {MAX_TUPLE_KEYS}")


def _encode_named_dict(value: dict[Any, Any], leaf: Leaf, path: str, depth: int) -> Any:
    """An OrderedDict with the ``_metadata`` torch hangs on state dicts, or a Counter."""
    kind = "odict" if type(value) is OrderedDict else "counter"
    tree = {"$": kind, "v": _encode_dict(dict(value), leaf, path, depth)}
    metadata = getattr(value, "_metadata", None)
    if metadata is not None:
        tree["metadata"] = encode(metadata, leaf, path=f"{path}._metadata", depth=depth + 1)
    return tree


def no_leaf(value: Any, path: str) -> Any:
    """The leaf function of callers that store nothing but plain values."""
    raise StateError(
        f"{path} is {type(value).__module__}.{type(value).__qualname__}, which is not data; wanted "
        "tensors, arrays, numbers, strings, bytes, None, or lists, tuples, sets, dicts of them"
    )


def decode(tree: Any, leaf: Callable[[dict[str, Any]], Any]) -> Any:
    """The value `encode` was given; `Broken` for a tree it never writes.

    >>> tree = encode({"a": (1, 2), 3: float("-inf")}, no_leaf)
    >>> decode(json.loads(json.dumps(tree)), no_tree_leaf)
    {'a': (1, 2), 3: -inf}
    """
    if type(tree) is list:
        return [decode(item, leaf) for item in tree]
    if type(tree) is not dict:
        return tree
    if "$" not in tree:
        return {key: decode(item, leaf) for key, item in tree.items()}
    reader = READERS.get(tree["$"]) if type(tree["$"]) is str else None
    if reader is None:
        return leaf(tree)
    try:
        return reader(tree, leaf)
    except (KeyError, TypeError, ValueError) as error:  # StateError is a TypeError
        raise Broken(f"a {tree['$']} is written in a way it never is: {str(tree)[:80]}") from error


def decode_all(tree: Any, leaf: Callable[[dict[str, Any]], Any]) -> Any:
    """`decode` for a tree from a file: too deep is `Broken`, too."""
    try:
        return decode(tree, leaf)
    except RecursionError as error:
        raise Broken("nested too deeply") from error


def no_tree_leaf(tree: dict[str, Any]) -> Any:
    """The leaf function of readers that know nothing but plain values."""
    raise Broken(f"unknown kind of value {str(tree.get('$'))[:40]!r}")


def _members(tree: dict[str, Any], leaf: Any) -> list[Any]:
    if type(tree["v"]) is not list:
        raise TypeError("members must be a list")
    return [decode(item, leaf) for item in tree["v"]]


def _pairs(tree: dict[str, Any], leaf: Any) -> dict[Any, Any]:
    pairs = [(decode(key, leaf), decode(item, leaf)) for key, item in tree["v"]]
    check_keys((key for key, _ in pairs), "a dict")
    return dict(pairs)


def _hashed(tree: dict[str, Any], leaf: Any) -> list[Any]:
    members = _members(tree, leaf)
    check_keys(members, "a set")
    return members


def _odict(tree: dict[str, Any], leaf: Any) -> OrderedDict[Any, Any]:
    made = OrderedDict(decode(tree["v"], leaf))
    if "metadata" in tree:
        made._metadata = decode(tree["metadata"], leaf)  # type: ignore[attr-defined]
    return made


def _counter(tree: dict[str, Any], leaf: Any) -> Counter[Any]:
    made: Counter[Any] = Counter()
    made.update(dict(decode(tree["v"], leaf)))
    return made


def _float(tree: dict[str, Any], leaf: Any) -> float:
    if tree["v"] not in ("nan", "inf", "-inf"):
        raise ValueError("only what JSON cannot hold is written so")
    return float(tree["v"])


def _complex(tree: dict[str, Any], leaf: Any) -> complex:
    real, imag = _members(tree, leaf)
    return complex(real, imag)


def _bytes(tree: dict[str, Any], leaf: Any) -> bytes:
    return base64.b64decode(tree["v"], validate=True)


READERS: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "int": lambda tree, leaf: int(tree["v"], 16),
    "float": _float,
    "complex": _complex,
    "bytes": _bytes,
    "bytearray": lambda tree, leaf: bytearray(_bytes(tree, leaf)),
    "tuple": lambda tree, leaf: tuple(_members(tree, leaf)),
    "set": lambda tree, leaf: set(_hashed(tree, leaf)),
    "frozenset": lambda tree, leaf: frozenset(_hashed(tree, leaf)),
    "dict": _pairs,
    "odict": _odict,
    "counter": _counter,
}


def to_json(tree: Any) -> bytes:
    """One way to write a tree: the same tree is the same bytes."""
    return json.dumps(tree, separators=(",", ":"), allow_nan=False).encode("ascii")


def from_json(raw: bytes, *, limit: int = MAX_JSON) -> Any:
    """Parse JSON from a file nobody vouches for: size, depth and double keys are checked.

    >>> from_json(b'{"a":1,"a":2}')
    Traceback (most recent call last):
    ...
    loopwright.checkpoint.errors.Broken: the key 'a' stands there twice
    """
    if len(raw) > limit:
        raise Broken(f"{len(raw)} bytes of JSON, more than the {limit} allowed")
    try:
        return json.loads(str(raw, "utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Broken(f"not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Broken(f"the key {twice!r} stands there twice")
    return made


def _no_constant(text: str) -> Any:
    raise Broken(f"JSON has no {text}")

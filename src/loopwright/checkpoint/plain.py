"""States as a plain torch file may hold them, so that ``torch.load(weights_only=True)`` reads it.

Tensors, numbers, strings, bytes, lists, tuples and dicts stand as they are; what torch's
safe loading does not know (arrays, sets, …) stands as ``{"$": kind, …}`` and comes back as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from loopwright.checkpoint.codec import READERS, decode_all, no_tree_leaf
from loopwright.checkpoint.errors import Broken
from loopwright.checkpoint.leaves import make_array, read_small_leaf
from loopwright.checkpoint.state import Packed, Stored

NATIVE = ("int", "float", "bytes")


def to_plain(packed: Packed) -> tuple[Any, list[torch.Tensor]]:
    """The state behind ``packed``, for torch.save, and the tensors in it.

    >>> from loopwright.checkpoint.state import pack
    >>> to_plain(pack({"w": torch.ones(1), "k": (1, {2: b"x"}), "s": {1}}))[0]
    {'w': tensor([1.]), 'k': (1, {2: b'x'}), 's': {'$': 'json', 'v': {'$': 'set', 'v': [1]}}}
    """
    plain = _Plain(packed)
    value = plain.value(packed.tree)
    return value, [*plain.made.values(), *plain.arrays]


class _Plain:
    """Walks a tree; a tensor named twice is one tensor."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.made: dict[Any, torch.Tensor] = {}
        self.arrays: list[torch.Tensor] = []

    def value(self, tree: Any) -> Any:
        """One value as torch may save it."""
        if type(tree) is list:
            return [self.value(item) for item in tree]
        if type(tree) is not dict:
            return tree
        if "$" not in tree:
            return {key: self.value(item) for key, item in tree.items()}
        return self._typed(tree)

    def _typed(self, tree: dict[str, Any]) -> Any:
        kind = tree["$"]
        if kind in NATIVE:
            return READERS[kind](tree, no_tree_leaf)
        if kind == "tuple":
            return tuple(self.value(item) for item in tree["v"])
        if kind == "dict":
            return self._pairs(tree)
        if kind == "odict":
            return self._odict(tree)
        if kind == "tensor":
            return self._tensor(tree)
        if kind == "ndarray":
            raw = self._stored(tree).tensor
            self.arrays.append(raw)
            return {"$": kind, "dtype": tree["dtype"], "shape": tree["shape"], "v": raw}
        if kind in ("size", "dtype", "device"):
            return read_small_leaf(tree)
        return {"$": "json", "v": tree}

    def _pairs(self, tree: dict[str, Any]) -> Any:
        pairs = [[self.value(key), self.value(item)] for key, item in tree["v"]]
        if any(key == "$" for key, _ in pairs):
            return {"$": "dict", "v": pairs}
        return dict(pairs)

    def _odict(self, tree: dict[str, Any]) -> Any:
        inner = self.value(tree["v"])
        if "$" in inner:
            return {"$": "odict", "v": inner}
        made = OrderedDict(inner)
        if "metadata" in tree:
            made._metadata = self.value(tree["metadata"])  # type: ignore[attr-defined]
        return made

    def _stored(self, tree: dict[str, Any]) -> Stored:
        return self.packed.groups[tree["file"]][tree["name"]]

    def _tensor(self, tree: dict[str, Any]) -> torch.Tensor:
        key = (tree["file"], tree["name"], tree.get("param"), tree.get("grad"))
        if key not in self.made:
            own = _own(self._stored(tree).tensor)
            grad = bool(tree.get("grad"))
            if tree.get("param"):
                own = torch.nn.Parameter(own, requires_grad=grad)
            self.made[key] = own.requires_grad_(grad)
        return self.made[key]


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU, without the rest of a larger storage (torch.save would write all of it)."""
    here = tensor.detach().resolve_conj().resolve_neg().cpu()
    whole = here.untyped_storage().nbytes() == here.numel() * here.element_size()
    return (
        here
        if whole and here.is_contiguous()
        else here.clone(memory_format=torch.contiguous_format)
    )


def from_plain(value: Any) -> Any:
    """The state `to_plain` was given, from what a plain torch file holds."""
    if type(value) is list:
        return [from_plain(item) for item in value]
    if type(value) is tuple:
        return tuple(from_plain(item) for item in value)
    if type(value) is OrderedDict:
        return _odict_back(value)
    if type(value) is not dict:
        return value
    if type(value.get("$")) is not str:
        return {key: from_plain(item) for key, item in value.items()}
    reader = _BACK.get(value["$"])
    if reader is None:
        raise Broken(f"unknown kind of value {value['$'][:40]!r}")
    try:
        return reader(value)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise Broken(f"a {value['$']} is written in a way it never is") from error


def _odict_back(value: OrderedDict[Any, Any]) -> OrderedDict[Any, Any]:
    made = OrderedDict((key, from_plain(item)) for key, item in value.items())
    if hasattr(value, "_metadata"):
        made._metadata = value._metadata  # type: ignore[attr-defined]
    return made


_BACK: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ndarray": lambda value: make_array(value["dtype"], value["shape"], value["v"]),
    "dict": lambda value: {from_plain(key): from_plain(item) for key, item in value["v"]},
    "odict": lambda value: OrderedDict(from_plain(value["v"])),
    "json": lambda value: decode_all(value["v"], read_small_leaf),
}

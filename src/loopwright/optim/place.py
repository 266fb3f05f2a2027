"""Tensors sorted by where they are, as operations on many tensors at once need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def by_place(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Lists of tensors of one device and dtype each, in order of appearance."""
    if not tensors:
        return []
    device, dtype = tensors[0].device, tensors[0].dtype
    if all(t.dtype == dtype and t.device == device for t in tensors):
        return [list(tensors)]
    places: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        places.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(places.values())

"""A batch on its way from a worker: all its tensors and arrays in one piece of shared memory.

Each shared tensor costs a file descriptor and a socket round trip, so a batch of a hundred small
ones would cost more to hand over than to load.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

_ALIGN = 64


class Slot(NamedTuple):
    """Where a tensor or an array lies in the shared memory."""

    offset: int
    nbytes: int
    dtype: Any
    shape: tuple[int, ...]


class Bundle(NamedTuple):
    """A batch with slots for its tensors, and the memory they lie in."""

    batch: Any
    memory: torch.Tensor


class _Layout:
    """Gives every loose tensor a place, then copies them all."""

    def __init__(self) -> None:
        self.size = 0
        self.placed: list[tuple[Slot, torch.Tensor]] = []

    def place(self, value: Any) -> Any:
        """The same structure with a slot for each tensor or array that is not shared already."""
        kind = type(value)
        if kind is torch.Tensor and _is_loose(value):
            return self._slot(value, value.dtype)
        if kind is np.ndarray and value.dtype.kind in "biuf" and value.nbytes:
            plain = np.ascontiguousarray(value).reshape(value.shape).view(np.uint8).reshape(-1)
            return self._slot(torch.from_numpy(plain), value.dtype, value.shape)
        if kind is dict:
            return {key: self.place(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return kind([self.place(item) for item in value])
        return value

    def _slot(self, tensor: torch.Tensor, dtype: Any, shape: Any = None) -> Slot:
        wanted = tuple(tensor.shape) if shape is None else tuple(shape)
        slot = Slot(self.size, tensor.numel() * tensor.element_size(), dtype, wanted)
        self.size += -(-slot.nbytes // _ALIGN) * _ALIGN
        self.placed.append((slot, tensor))
        return slot

    def filled(self) -> torch.Tensor:
        """Shared memory with every placed tensor in it."""
        storage = torch.UntypedStorage._new_shared(max(self.size, 1))
        memory = torch.empty(0, dtype=torch.uint8).set_(storage)
        for slot, tensor in self.placed:
            part = memory[slot.offset : slot.offset + slot.nbytes]
            part.view(tensor.dtype).copy_(tensor.reshape(-1))
        return memory


def _is_loose(tensor: torch.Tensor) -> bool:
    """Whether it is plain data in this process's own memory."""
    return (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not (tensor.requires_grad or tensor.is_quantized)
        and tensor.numel() > 0
        and not tensor.is_shared()
    )


def bundle(batch: Any) -> Any:
    """The batch as a Bundle where it holds two loose tensors or arrays at least, else as it is."""
    layout = _Layout()
    structure = layout.place(batch)
    return Bundle(structure, layout.filled()) if len(layout.placed) > 1 else batch


def unbundle(sent: Any) -> Any:
    """The batch again, its tensors and arrays being views of the shared memory.

    >>> batch = {"x": [torch.ones(2), torch.zeros(3)], "name": ("a", np.arange(2))}
    >>> unbundle(bundle(batch))
    {'x': [tensor([1., 1.]), tensor([0., 0., 0.])], 'name': ('a', array([0, 1]))}
    """
    return _restored(sent.batch, sent.memory) if isinstance(sent, Bundle) else sent


def _restored(value: Any, memory: torch.Tensor) -> Any:
    kind = type(value)
    if kind is Slot:
        part = memory[value.offset : value.offset + value.nbytes]
        if isinstance(value.dtype, torch.dtype):
            return part.view(value.dtype).view(value.shape)
        return part.numpy().view(value.dtype).reshape(value.shape)
    if kind is dict:
        return {key: _restored(item, memory) for key, item in value.items()}
    if kind is list or kind is tuple:
        return kind([_restored(item, memory) for item in value])
    return value

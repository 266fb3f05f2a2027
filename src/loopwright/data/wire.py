"""A batch on its way from a worker: loose tensors and arrays in one piece of shared memory.

Its file descriptor travels over the worker's own pipe. So handing a batch over costs one of them,
not one and a socket connection a tensor, and what was sent outlives the worker.
"""

from __future__ import annotations

import os
from multiprocessing import reduction
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.multiprocessing

_ALIGN = 64
_MOST_SHARED = 16


class Slot(NamedTuple):
    """Where a tensor or an array lies: in which memory, from which byte on."""

    memory: int
    offset: int
    nbytes: int
    dtype: Any
    shape: tuple[int, ...]


class Bundle(NamedTuple):
    """A batch with slots for its tensors, and the memories they lie in."""

    batch: Any
    memories: list[torch.Tensor]


class _Layout:
    """Gives every tensor a place: a shared one where it is, all others in one new memory."""

    def __init__(self) -> None:
        self.size = 0
        self.placed: list[tuple[Slot, torch.Tensor]] = []
        self.shared: list[torch.Tensor] = []

    def place(self, value: Any) -> Any:
        """The same structure with a slot for each plain tensor or array."""
        kind = type(value)
        if kind is torch.Tensor and _is_plain(value):
            return self._slot_of(value)
        if kind is np.ndarray and value.dtype.kind in "biuf" and value.nbytes:
            plain = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return self._new_slot(torch.from_numpy(plain), value.dtype, value.shape)
        if kind is dict:
            return {key: self.place(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return kind([self.place(item) for item in value])
        return value

    def _slot_of(self, tensor: torch.Tensor) -> Slot:
        exact = tensor.is_contiguous() and not tensor.is_conj() and not tensor.is_neg()
        if not (tensor.is_shared() and exact and len(self.shared) < _MOST_SHARED):
            return self._new_slot(tensor, tensor.dtype, tensor.shape)
        whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
        self.shared.append(whole)
        offset = int(tensor.storage_offset()) * tensor.element_size()
        size = tensor.numel() * tensor.element_size()
        return Slot(len(self.shared), offset, size, tensor.dtype, tuple(tensor.shape))

    def _new_slot(self, tensor: torch.Tensor, dtype: Any, shape: Any) -> Slot:
        slot = Slot(0, self.size, tensor.numel() * tensor.element_size(), dtype, tuple(shape))
        self.size += -(-slot.nbytes // _ALIGN) * _ALIGN
        self.placed.append((slot, tensor))
        return slot

    def memories(self) -> list[torch.Tensor]:
        """The new memory with every loose tensor copied in, then those that were shared."""
        storage = torch.UntypedStorage._new_shared(max(self.size, 1))
        memory = torch.empty(0, dtype=torch.uint8).set_(storage)
        for slot, tensor in self.placed:
            part = memory[slot.offset : slot.offset + slot.nbytes]
            part.view(tensor.dtype).copy_(tensor.reshape(-1))
        return [memory, *self.shared]


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether it is nothing but numbers in this machine's memory."""
    return (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not (tensor.requires_grad or tensor.is_quantized)
        and tensor.numel() > 0
    )


def bundle(batch: Any) -> Any:
    """The batch as a Bundle where it holds any plain tensor or array, else as it is."""
    layout = _Layout()
    structure = layout.place(batch)
    return Bundle(structure, layout.memories()) if layout.placed or layout.shared else batch


def unbundle(sent: Any) -> Any:
    """The batch again, its tensors and arrays being views of the shared memory.

    >>> batch = {"x": [torch.ones(2), torch.zeros(3)], "name": ("a", np.arange(2))}
    >>> unbundle(bundle(batch))
    {'x': [tensor([1., 1.]), tensor([0., 0., 0.])], 'name': ('a', array([0, 1]))}
    """
    return _restored(sent.batch, sent.memories) if isinstance(sent, Bundle) else sent


def _restored(value: Any, memories: list[torch.Tensor]) -> Any:
    kind = type(value)
    if kind is Slot:
        part = memories[value.memory][value.offset : value.offset + value.nbytes]
        if isinstance(value.dtype, torch.dtype):
            return part.view(value.dtype).view(value.shape)
        return part.numpy().view(value.dtype).reshape(value.shape)
    if kind is dict:
        return {key: _restored(item, memories) for key, item in value.items()}
    if kind is list or kind is tuple:
        return kind([_restored(item, memories) for item in value])
    return value


def send(pipe: Any, ticket: int, batch: Any, bad: Any) -> None:
    """Send a worker's batch; with descriptors over the pipe where the platform shares by them."""
    parcel = bundle(batch)
    if not isinstance(parcel, Bundle) or not _by_descriptor():
        pipe.send((ticket, parcel, bad, None, ()))
        return
    shared = [memory.untyped_storage()._share_fd_cpu_() for memory in parcel.memories]
    sizes = tuple(size for _, size in shared)
    pipe.send((ticket, parcel._replace(memories=[]), bad, None, sizes))
    for descriptor, _ in shared:  # the storages own them and close them
        reduction.send_handle(pipe, descriptor, None)


def receive(pipe: Any) -> tuple[int, Any, Any, Any]:
    """A worker's ticket, batch, replaced samples and failure. Raises EOFError if it is gone."""
    ticket, parcel, bad, failure, sizes = pipe.recv()
    if sizes:
        parcel = parcel._replace(memories=[_memory(pipe, size) for size in sizes])
    return ticket, unbundle(parcel), bad, failure


def _memory(pipe: Any, size: int) -> torch.Tensor:
    descriptor = reduction.recv_handle(pipe)
    try:
        rebuild: Any = torch.UntypedStorage
        storage = rebuild._new_shared_fd_cpu(descriptor, size)
    finally:
        os.close(descriptor)
    return torch.empty(0, dtype=torch.uint8).set_(storage)


def _by_descriptor() -> bool:
    return torch.multiprocessing.get_sharing_strategy() == "file_descriptor"

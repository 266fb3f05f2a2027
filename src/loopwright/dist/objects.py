"""Collectives of plain objects, sent as encoded bytes (never pickled)."""

from __future__ import annotations

import secrets
from typing import Any

import torch
from torch import Tensor
from torch import distributed as torch_dist

from loopwright.dist.place import Group, get_comm_device, get_rank, get_world_size
from loopwright.dist.wire import decode, encode


def all_gather_object(data: Any, group: Group = None) -> list[Any]:
    """The objects of all processes, in rank order, everywhere.

    Raises UnsendableError for what is neither a number, string, tensor, array nor a list, tuple,
    set or dict of them; every process raises it, so that none waits for the other.

    >>> all_gather_object({"iou": 0.5})
    [{'iou': 0.5}]
    """
    if get_world_size(group) == 1:
        return [data]
    raw, error = _encoded(data)
    device = get_comm_device(group)
    sizes = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(get_world_size(group))]
    own = torch.tensor([-1 if error else len(raw)], dtype=torch.int64, device=device)
    torch_dist.all_gather(sizes, own, group)
    lengths = [int(s.item()) for s in sizes]
    _raise_together(lengths, error)
    padded = _as_tensor(raw, max(lengths), device)
    parts = [torch.empty_like(padded) for _ in lengths]
    torch_dist.all_gather(parts, padded, group)
    return [_as_object(part[:n]) for part, n in zip(parts, lengths, strict=True)]


def gather_object(data: Any, dst: int = 0, group: Group = None) -> list[Any] | None:
    """The objects of all processes in process ``dst``; None elsewhere."""
    found = all_gather_object(data, group)
    return found if get_rank(group) == dst else None


def broadcast_object(data: Any, src: int = 0, group: Group = None) -> Any:
    """Process ``src``'s object, everywhere; what the others give is not looked at."""
    if get_world_size(group) == 1:
        return data
    raw, error = _encoded(data) if get_rank(group) == src else (b"", None)
    device = get_comm_device(group)
    size = torch.tensor([-1 if error else len(raw)], dtype=torch.int64, device=device)
    torch_dist.broadcast(size, src, group)
    length = int(size.item())
    _raise_together([length], error)
    sent = _as_tensor(raw, length, device)
    torch_dist.broadcast(sent, src, group)
    return data if get_rank(group) == src else _as_object(sent)


def broadcast_object_list(data: list[Any], src: int = 0, group: Group = None) -> None:
    """Replace every process's list, in place, by process ``src``'s."""
    data[:] = broadcast_object(data, src, group)


def collect_results(
    results: list[Any], size: int, device: str = "cpu", tmpdir: str | None = None
) -> list[Any] | None:
    """All processes' results in the order of the samples, ``size`` of them, in the main process.

    A sampler deals samples like cards, so results are taken in turn; what was repeated to make the
    shares even is cut off. None in the other processes. ``device`` and ``tmpdir`` are MMEngine's
    and change nothing: results go as bytes, never through a folder.
    """
    parts = gather_object(results)
    if parts is None:
        return None
    longest = max(map(len, parts))
    return [part[i] for i in range(longest) for part in parts if i < len(part)][:size]


def sync_random_seed(group: Group = None) -> int:
    """A seed drawn from the system by the main process, the same everywhere."""
    return int(broadcast_object(secrets.randbelow(2**31), group=group))


def _encoded(data: Any) -> tuple[bytes, Exception | None]:
    try:
        return encode(data), None
    except (TypeError, ValueError) as error:
        return b"", error


def _raise_together(lengths: list[int], error: Exception | None) -> None:
    if error is not None:
        raise error
    for rank, length in enumerate(lengths):
        if length < 0:
            raise RuntimeError(f"process {rank} has an object that cannot be sent; see its error")


def _as_tensor(raw: bytes, length: int, device: torch.device) -> Tensor:
    sent = torch.zeros(length, dtype=torch.uint8)
    if raw:
        sent[: len(raw)] = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    return sent.to(device)


def _as_object(sent: Tensor) -> Any:
    return decode(sent.cpu().numpy().tobytes())

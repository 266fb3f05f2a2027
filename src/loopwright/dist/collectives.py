"""Tensor collectives; each does nothing, or answers for one process, when there is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch import distributed as torch_dist

from loopwright.core.nearest import nearest_or_all
from loopwright.dist.place import Group, get_comm_device, get_rank, get_world_size

_OPS = {
    "sum": "SUM",
    "mean": "SUM",
    "product": "PRODUCT",
    "max": "MAX",
    "min": "MIN",
    "band": "BAND",
    "bor": "BOR",
    "bxor": "BXOR",
}


def _alone(group: Group) -> bool:
    return get_world_size(group) == 1


def _op(name: str) -> str:
    if name in _OPS:
        return _OPS[name]
    raise ValueError(f"no reduction {name!r}{nearest_or_all(name, _OPS)}")


def all_reduce(tensor: Tensor, op: str = "sum", group: Group = None) -> None:
    """Put the sum, mean, max, … over all processes into ``tensor``, in place.

    A mean of whole numbers is refused: it would have to be cut. Raises ValueError for an unknown
    ``op``.
    """
    kind = _op(op)
    if op == "mean" and not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"the mean of a {tensor.dtype} tensor is not whole: convert it to float")
    if _alone(group):
        return
    sent = tensor.detach().to(get_comm_device(group)).contiguous()
    torch_dist.all_reduce(sent, getattr(torch_dist.ReduceOp, kind), group)
    if op == "mean":
        sent = sent / get_world_size(group)
    if sent.data_ptr() != tensor.data_ptr():
        with torch.no_grad():
            tensor.copy_(sent)


def all_gather(tensor: Tensor, group: Group = None) -> list[Tensor]:
    """The tensors (one shape, one type) of all processes, in rank order."""
    if _alone(group):
        return [tensor]
    sent = tensor.detach().to(get_comm_device(group)).contiguous()
    found = [torch.empty_like(sent) for _ in range(get_world_size(group))]
    torch_dist.all_gather(found, sent, group)
    return [t.to(tensor.device) for t in found]


def gather(tensor: Tensor, dst: int = 0, group: Group = None) -> list[Tensor]:
    """The tensors of all processes, in rank order, in process ``dst``; elsewhere an empty list."""
    found = all_gather(tensor, group)
    return found if get_rank(group) == dst else []


def broadcast(tensor: Tensor, src: int = 0, group: Group = None) -> None:
    """Put process ``src``'s tensor into everyone's, in place."""
    if _alone(group):
        return
    sent = tensor.detach().to(get_comm_device(group)).contiguous()
    torch_dist.broadcast(sent, src, group)
    if sent.data_ptr() != tensor.data_ptr():
        with torch.no_grad():
            tensor.copy_(sent)


def all_reduce_dict(data: Mapping[str, Tensor], op: str = "sum", group: Group = None) -> None:
    """Reduce every tensor of a dict in place; all processes must have the same keys."""
    all_reduce_params([data[key] for key in sorted(data)], op=op, group=group)


def all_reduce_params(
    params: Iterable[Tensor],
    coalesce: bool = True,
    bucket_size_mb: int = -1,
    op: str = "sum",
    group: Group = None,
) -> None:
    """Reduce many tensors in place, joined into few messages when ``coalesce``.

    ``bucket_size_mb`` bounds a message; -1 sends each type in one.
    """
    _op(op)
    tensors = list(params)
    if _alone(group):
        return
    if not coalesce:
        for tensor in tensors:
            all_reduce(tensor, op, group)
        return
    for bucket in _buckets(tensors, bucket_size_mb * 2**20):
        joined = torch.cat([t.detach().reshape(-1) for t in bucket])
        all_reduce(joined, op, group)
        parts = joined.split([t.numel() for t in bucket])
        with torch.no_grad():
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))


def _buckets(tensors: list[Tensor], limit: int) -> list[list[Tensor]]:
    """Tensors of one type and device together, at most ``limit`` bytes each when positive."""
    open_ones: dict[object, list[Tensor]] = {}
    done: list[list[Tensor]] = []
    for tensor in tensors:
        bucket = open_ones.setdefault((tensor.dtype, tensor.device), [])
        bucket.append(tensor)
        if 0 < limit <= sum(t.numel() * t.element_size() for t in bucket):
            done.append(open_ones.pop((tensor.dtype, tensor.device)))
    return [*done, *open_ones.values()]


def any_rank(flag: bool, group: Group = None) -> bool:
    """Whether any process says yes: how all of them come to one decision.

    >>> any_rank(True)
    True
    """
    if _alone(group):
        return bool(flag)
    said = torch.tensor([float(flag)], device=get_comm_device(group))
    torch_dist.all_reduce(said, torch_dist.ReduceOp.MAX, group)
    return bool(said.item())

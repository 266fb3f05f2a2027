"""detectron2's small functions on ranks and seeds."""

from __future__ import annotations

from typing import Any

import torch

from loopwright import dist
from loopwright.build.environment import seed_everything

__all__ = [
    "all_gather",
    "gather",
    "reduce_dict",
    "seed_all_rng",
    "shared_random_seed",
    "synchronize",
]


def synchronize() -> None:
    """Wait for all ranks."""
    dist.barrier()


def shared_random_seed() -> int:
    """A random number, the same on all ranks."""
    return int(dist.sync_random_seed())


def all_gather(data: Any, group: Any = None) -> list[Any]:
    """Every rank's object, on every rank; tensors and plain data, no pickles."""
    return dist.all_gather_object(data)


def gather(data: Any, dst: int = 0, group: Any = None) -> list[Any]:
    """Every rank's object on rank ``dst``, an empty list elsewhere."""
    return dist.gather_object(data, dst=dst) or []


def reduce_dict(input_dict: dict[str, torch.Tensor], average: bool = True) -> dict[str, Any]:
    """The values summed (or averaged) over ranks; every rank gets them."""
    if dist.get_world_size() < 2:
        return input_dict
    with torch.no_grad():
        names = sorted(input_dict)
        values = torch.stack([input_dict[name].detach() for name in names])
        dist.all_reduce(values, op="mean" if average else "sum")
    return dict(zip(names, values, strict=True))


def seed_all_rng(seed: int | None = None) -> None:
    """Seed Python, numpy and torch; without a number, by one that all ranks share."""
    seed_everything(shared_random_seed() if seed is None else seed)

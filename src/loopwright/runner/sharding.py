"""A model split over processes (FSDP2) in checkpoints: whole in the file, split in the run."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from loopwright.model import unwrap, whole


def gathered(state: Any, *, keep: bool) -> Any:
    """The state with every sharded tensor whole and on the CPU; all processes must say it at once.

    One tensor is gathered at a time; without ``keep`` it is let go at once, so that the processes
    which write nothing need no room for the whole.
    """
    if isinstance(state, Tensor):
        if not hasattr(state, "device_mesh"):
            return state
        found = whole(state.detach())
        return found.cpu() if keep else None
    if isinstance(state, dict):
        same = copy.copy(state)  # keeps a state dict's metadata
        same.update({key: gathered(value, keep=keep) for key, value in state.items()})
        return same
    if type(state) in (list, tuple):
        return type(state)([gathered(value, keep=keep) for value in state])
    return state


def spread(optimizer: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """A saved optimizer state whose tensors lie as the parameters do that they belong to."""
    if "state" not in optimizer:  # several optimizers, by name
        return {name: spread(one, model) for name, one in optimizer.items()}
    parameters = dict(unwrap(model).named_parameters())
    parts = {
        name: {key: _like(value, parameters.get(name)) for key, value in values.items()}
        for name, values in optimizer["state"].items()
    }
    return {**optimizer, "state": parts}


def _like(value: Any, parameter: Any) -> Any:
    if not hasattr(parameter, "device_mesh") or not isinstance(value, Tensor):
        return value
    if value.shape != parameter.shape:
        return value  # a count of steps
    from torch.distributed.tensor import distribute_tensor

    on_device = value.to(parameter.device)
    return distribute_tensor(
        on_device, parameter.device_mesh, parameter.placements, src_data_rank=None
    )

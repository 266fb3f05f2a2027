"""Sharded training with FSDP2: parameters, gradients and optimizer state split over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from loopwright.core.nearest import did_you_mean
from loopwright.model.module import initialises_itself
from loopwright.registry import MODEL_WRAPPERS


def shard(
    module: nn.Module,
    *,
    units: str | list[str] | None = None,
    param_dtype: str | None = None,
    reduce_dtype: str | None = None,
    reshard_after_forward: bool = True,
    cpu_offload: bool = False,
) -> nn.Module:
    """The same module with its parameters split over all processes (FSDP2's `fully_shard`).

    `units` are class names or name globs of the sub-modules gathered one at a time (default: the
    repeated blocks, children of a ModuleList or of a Sequential of equal classes).
    `param_dtype`/`reduce_dtype` ('bfloat16', 'float16') compute and sum in fewer bits. Names in the
    state dict stay; values are DTensors. Weights are initialised first, as they are whole then.
    """
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

    if initialises_itself(module):
        start: Any = module
        start.init_weights()
    how: dict[str, Any] = {
        "reshard_after_forward": reshard_after_forward,
        "mp_policy": MixedPrecisionPolicy(
            param_dtype=dtype_of(param_dtype), reduce_dtype=dtype_of(reduce_dtype)
        ),
    }
    if cpu_offload:
        how["offload_policy"] = CPUOffloadPolicy()
    for unit in chosen_units(module, units).values():
        fully_shard(unit, **how)
    fully_shard(module, **how)
    module.__dict__["no_sync"] = _no_sync(module)
    return module


MODEL_WRAPPERS.register_module(name="MMFullyShardedDataParallel", module=shard)


def _no_sync(module: Any) -> Callable[[], Any]:
    @contextmanager
    def no_sync() -> Iterator[None]:
        module.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            module.set_requires_gradient_sync(True)

    return no_sync


def chosen_units(module: nn.Module, units: str | list[str] | None) -> dict[str, nn.Module]:
    """Sub-modules to gather one at a time, innermost first.

    >>> blocks = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    >>> list(chosen_units(nn.ModuleDict({"blocks": blocks, "head": nn.Linear(1, 1)}), None))
    ['blocks.0', 'blocks.1']
    """
    named = {name: child for name, child in module.named_modules() if name}
    if units is None:
        found = {name: child for name, child in named.items() if _is_block(module, name)}
        return dict(reversed(found.items())) if _nested(found) else found
    patterns = [units] if isinstance(units, str) else list(units)
    found = {}
    for pattern in patterns:
        met = {n: m for n, m in named.items() if _meant(n, m, pattern)}
        if not met:
            hint = did_you_mean(pattern, [*named, *_kinds(named)], most=3)
            raise ValueError(f"units: {pattern!r} matches no sub-module{hint}")
        found.update(met)
    return dict(sorted(found.items(), key=lambda item: -item[0].count(".")))


def _nested(found: dict[str, nn.Module]) -> bool:
    return any(a != b and b.startswith(a + ".") for a in found for b in found)


def _is_block(module: nn.Module, name: str) -> bool:
    """Whether a sub-module is one of several of one class in a list."""
    parent = module.get_submodule(name.rpartition(".")[0]) if "." in name else module
    if not isinstance(parent, nn.ModuleList | nn.Sequential) or len(parent) < 2:
        return False
    own = module.get_submodule(name)
    same = [child for child in parent if type(child) is type(own)]
    return len(same) > 1 and any(True for _ in own.parameters())


def _meant(name: str, module: nn.Module, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or type(module).__name__ == pattern


def _kinds(named: Mapping[str, nn.Module]) -> set[str]:
    return {type(module).__name__ for module in named.values()}


def dtype_of(name: str | None) -> torch.dtype | None:
    """A torch type by its name.

    >>> dtype_of("bfloat16")
    torch.bfloat16
    """
    if name is None:
        return None
    found = getattr(torch, name.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{name!r} is no torch type; e.g. 'bfloat16', 'float16', 'float32'")
    return found


def whole(tensor: Tensor) -> Tensor:
    """A tensor with all its shards gathered (say it on every rank); one that has none as it is."""
    gather = getattr(tensor, "full_tensor", None)
    found: Tensor = gather() if callable(gather) else tensor
    return found


def is_split(model: nn.Module) -> bool:
    """Whether parameters of a model lie in parts on several processes."""
    return any(hasattr(p, "device_mesh") for p in model.parameters())


def share(tensor: Tensor) -> Tensor:
    """This process's part of a tensor, sharing its memory; one that is whole as it is."""
    part = getattr(tensor, "to_local", None)
    found: Tensor = part() if callable(part) else tensor
    return found


def reshard(model: nn.Module) -> None:
    """Let go of what a forward gathered, so that the parameters are the parts again."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def split_copy(model: nn.Module) -> nn.Module:
    """The tensors of a split model under their names, each process its parts; no forward.

    FSDP2 refuses a copy of its modules, whose hooks belong to the one model.
    """
    reshard(model)
    copies: dict[int, Any] = {}
    return _tensors_of(model, copies)


def _tensors_of(module: nn.Module, copies: dict[int, Any]) -> nn.Module:
    """A bare module with copies of another's tensors; what is shared there is shared here."""
    bare = nn.Module()
    for name, parameter in module._parameters.items():
        if parameter is not None and id(parameter) not in copies:
            copies[id(parameter)] = nn.Parameter(parameter.detach().clone(), requires_grad=False)
        bare.register_parameter(name, copies.get(id(parameter)))
    for name, buffer in module._buffers.items():
        kept = name not in module._non_persistent_buffers_set
        bare.register_buffer(name, None if buffer is None else buffer.clone(), persistent=kept)
    for name, child in module._modules.items():
        if child is not None and id(child) not in copies:
            copies[id(child)] = _tensors_of(child, copies)
        bare.add_module(name, copies.get(id(child)))
    return bare


@torch.no_grad()
def load_whole(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put whole tensors into a sharded model: each rank takes its part.

    Raises KeyError for names that the model lacks, with the nearest one.
    """
    own = model.state_dict(keep_vars=True)
    for name, value in state.items():
        if name not in own:
            raise KeyError(f"the model has no {name!r}{did_you_mean(name, own)}")
        target = own[name]
        if hasattr(target, "device_mesh"):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value, target.device_mesh, target.placements)
        target.data.copy_(value)

"""ZeRO stage 1: each process keeps the optimizer's state of its own share of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from loopwright.dist import all_gather_object, broadcast, get_rank, get_world_size
from loopwright.optim.find import find
from loopwright.optim.optimizers import fastest
from loopwright.optim.place import by_place
from loopwright.optim.saved import KERNELS
from loopwright.registry import OPTIMIZERS

_NOT_OPTIONS = ("params", "param_names")
_NEED_ALL = ("LBFGS", "Lamb")


def told_together(wrapper: Any) -> bool:
    """Whether all processes must come together to tell the state of a wrapper's optimizers.

    With several optimizers they also tell the gradients that one left for another.
    """
    if get_world_size() == 1:
        return False
    optimizer = getattr(wrapper, "optimizer", None)
    ours = isinstance(optimizer, ZeroRedundancyOptimizer)
    split = ours or hasattr(optimizer, "consolidate_state_dict")  # torch's of the same name
    return split or hasattr(wrapper, "optim_wrappers")


@OPTIMIZERS.register_module()
class ZeroRedundancyOptimizer(Optimizer):
    """The optimizer `optimizer_type`, its state split over the processes of a data-parallel run.

    Each process steps the parameters it owns and sends them to the others, so that N processes
    hold a N-th of the state each. `options` are the optimizer's own. Its state dict is the whole
    one (all processes must ask for it together), the same as without this class: a checkpoint goes
    on with any number of processes, and with or without it. One process is a plain optimizer.
    Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    2020. Not for parameters that are sharded already (FSDP).

    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> sgd = ZeroRedundancyOptimizer([w], optimizer_type="SGD", lr=0.5)
    >>> w.sum().backward(); sgd.step(); w.tolist()
    [0.5, 0.5]
    """

    def __init__(
        self, params: Iterable[Any], optimizer_type: str | type[Optimizer], **options: Any
    ) -> None:
        kind = find(optimizer_type, OPTIMIZERS, None)
        self.rank, self.world = get_rank(), get_world_size()
        if self.world > 1 and kind.__name__ in _NEED_ALL:
            raise ValueError(f"{kind.__name__} looks at all gradients: its state cannot be split")
        self.owner: dict[Tensor, int] = {}
        self._load = [0] * self.world
        self._inner: Optimizer | None = None
        super().__init__(params, {})
        own = [p for group in self.param_groups for p in group["params"] if self._mine(p)]
        chosen = {} if any(key in options for key in KERNELS) else fastest(kind, own)
        parts = [self._own_part(group) for group in self.param_groups]
        self._inner = inner = OPTIMIZERS.build({"type": kind, **options, **chosen}, params=parts)
        inner.state = self.state
        self.defaults = dict(inner.defaults)
        self._take_options(inner)

    def _take_options(self, inner: Optimizer) -> None:
        """The groups' options as the own optimizer holds them."""
        for group, own in zip(self.param_groups, inner.param_groups, strict=True):
            group.update({k: v for k, v in own.items() if k != "params"})

    def _mine(self, param: Tensor) -> bool:
        return self.owner[param] == self.rank

    def _own_part(self, group: dict[str, Any]) -> dict[str, Any]:
        """A group with this process's parameters alone."""
        options = {k: v for k, v in group.items() if k not in _NOT_OPTIONS}
        return {"params": [p for p in group["params"] if self._mine(p)], **options}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; each of its parameters goes to the process that holds least."""
        super().add_param_group(param_group)
        added = self.param_groups[-1]
        for param in added["params"]:
            if hasattr(param, "full_tensor"):
                raise ValueError("ZeroRedundancyOptimizer is for whole parameters, not FSDP's")
            lightest = self._load.index(min(self._load))
            self.owner[param] = lightest
            self._load[lightest] += param.numel()
        if self._inner is not None:
            self._inner.add_param_group(self._own_part(added))
            self._take_options(self._inner)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step the own parameters with the groups' options of now, then exchange them."""
        inner = self._inner
        assert inner is not None
        for own, group in zip(inner.param_groups, self.param_groups, strict=True):
            own.update({k: v for k, v in group.items() if k not in _NOT_OPTIONS})
        loss = inner.step(closure) if closure is not None else inner.step()
        self._take_options(inner)
        if self.world > 1:
            self._exchange()
        return loss

    def _exchange(self) -> None:
        """Every process's parameters to the others, in one message a process and type."""
        held: list[list[Tensor]] = [[] for _ in range(self.world)]
        for param, owner in self.owner.items():
            held[owner].append(param.detach())
        for owner, tensors in enumerate(held):
            for same in by_place(tensors):
                joined = torch.cat([t.reshape(-1) for t in same])
                broadcast(joined, owner)
                if owner != self.rank:
                    parts = joined.split([t.numel() for t in same])
                    torch._foreach_copy_(same, [p.view_as(t) for p, t in zip(parts, same)])

    def state_dict(self) -> dict[str, Any]:
        """The whole state, gathered; to be asked for by all processes together."""
        whole = super().state_dict()
        if self.world > 1:
            parts = all_gather_object(whole["state"])
            state = {number: one for part in parts for number, one in part.items()}
            whole["state"] = dict(sorted(state.items()))
        return whole

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a whole state, of which each process keeps its own parameters'."""
        super().load_state_dict(state_dict)
        for param in [p for p in self.state if not self._mine(p)]:
            del self.state[param]
        if self._inner is not None:
            self._inner.state = self.state

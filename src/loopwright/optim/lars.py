"""LARS, layer-wise adaptive rates, over many tensors at once and without reading a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from loopwright.optim.place import by_place
from loopwright.registry import OPTIMIZERS

_BUFFER = "momentum_buffer"


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    """SGD whose lr is scaled, tensor by tensor, by `eta * |w| / (|g| + weight_decay * |w| + eps)`.

    Groups with `lars_exclude=True` are plain SGD; so are tensors of norm 0 or with a gradient of
    norm 0. The momentum gathers gradients that the lr has multiplied already. You, Gitman and
    Ginsburg, "Large Batch Training of Convolutional Networks", 2017.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0,
        weight_decay: float = 0,
        dampening: float = 0,
        eta: float = 0.001,
        nesterov: bool = False,
        eps: float = 1e-8,
    ) -> None:
        for name, value in {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}.items():
            if value < 0:
                raise ValueError(f"LARS: {name} must not be negative, got {value}")
        if eta < 0:
            raise ValueError(f"LARS: eta must not be negative, got {eta}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("LARS: nesterov needs a momentum and no dampening")
        self.eps = eps
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "eta": eta,
            "lars_exclude": False,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("nesterov", False)
            group.setdefault("lars_exclude", False)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for some in by_place(params):
                self._step(some, group)
        return loss

    def _step(self, params: list[Tensor], group: dict[str, Any]) -> None:
        moves = self._scaled_gradients(params, group)
        if group["momentum"]:
            moves = self._with_momentum(params, moves, group)
        torch._foreach_sub_(params, moves)

    def _scaled_gradients(self, params: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        grads: list[Tensor] = [p.grad for p in params if p.grad is not None]
        decay, lr = group["weight_decay"], group["lr"]
        rates = None if group["lars_exclude"] else self._rates(params, grads, group)
        if decay:
            moves = list(torch._foreach_add(grads, params, alpha=decay))
        else:
            moves = list(torch._foreach_mul(grads, 1.0))
        if rates is None:
            torch._foreach_mul_(moves, lr)
        else:
            torch._foreach_mul_(moves, rates)
        return moves

    def _rates(
        self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        """The lr of each tensor, as tensors without dimensions; reckoned in double precision."""
        exact = torch.float32 if params[0].device.type == "mps" else torch.float64
        weights = torch.stack(torch._foreach_norm(params)).to(exact)
        slopes = torch.stack(torch._foreach_norm(grads)).to(exact)
        local = group["eta"] * weights / (slopes + group["weight_decay"] * weights + self.eps)
        usable = (weights > 0) & (slopes > 0)
        rates = torch.where(usable, local, 1.0) * group["lr"]
        wide = params[0].dtype in (torch.float32, torch.float64)
        return list(rates.to(params[0].dtype if wide else torch.float32).unbind())

    def _with_momentum(
        self, params: list[Tensor], moves: list[Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        old = [(p, move) for p, move in zip(params, moves) if _BUFFER in self.state[p]]
        for p, move in zip(params, moves):
            if _BUFFER not in self.state[p]:
                self.state[p][_BUFFER] = move.clone()
        if old:
            buffers = [self.state[p][_BUFFER] for p, _ in old]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, [m for _, m in old], alpha=1 - group["dampening"])
        buffers = [self.state[p][_BUFFER] for p in params]
        if group["nesterov"]:
            return list(torch._foreach_add(moves, buffers, alpha=group["momentum"]))
        return buffers

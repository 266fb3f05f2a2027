"""LAMB, Adam with layer-wise adaptive rates, over many tensors at once without reading a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from loopwright.optim.clip import gradients, total_norm
from loopwright.optim.place import by_place
from loopwright.registry import OPTIMIZERS


@OPTIMIZERS.register_module(["Lamb", "LAMB"])
class Lamb(Optimizer):
    """Adam whose update is scaled, tensor by tensor, by `|w| / |update|`.

    All gradients are first brought to a common norm of at most `max_grad_norm` (None: not).
    Groups without weight decay are not scaled unless `always_adapt`; `trust_clip` keeps the scale
    at most 1. You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76
    minutes", 2020.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        bias_correction: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        grad_averaging: bool = True,
        max_grad_norm: float | None = 1.0,
        trust_clip: bool = False,
        always_adapt: bool = False,
    ) -> None:
        if lr < 0 or eps < 0 or weight_decay < 0:
            raise ValueError(
                f"Lamb: lr, eps and weight_decay must not be negative, "
                f"got {lr}, {eps} and {weight_decay}"
            )
        defaults = {
            "lr": lr,
            "bias_correction": bias_correction,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "grad_averaging": grad_averaging,
            "max_grad_norm": max_grad_norm,
            "trust_clip": trust_clip,
            "always_adapt": always_adapt,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        shrink = self._shrink()
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1
            params = [p for p in group["params"] if p.grad is not None]
            for some in by_place(params):
                self._step(some, group, shrink)
        return loss

    def _shrink(self) -> Tensor | None:
        """What all gradients are divided by: their norm over the limit, at least 1."""
        limit = self.defaults["max_grad_norm"]
        if limit is None:
            return None
        norm = total_norm(gradients([p for g in self.param_groups for p in g["params"]]))
        return None if norm is None else torch.clamp(norm / limit, min=1.0)

    def _step(self, params: list[Tensor], group: dict[str, Any], shrink: Tensor | None) -> None:
        updates = self._adam(params, group, shrink)
        if group["weight_decay"]:
            torch._foreach_add_(updates, params, alpha=group["weight_decay"])
        if group["weight_decay"] or group["always_adapt"]:
            torch._foreach_mul_(updates, _trust(params, updates, clip=group["trust_clip"]))
        torch._foreach_add_(params, updates, alpha=-group["lr"])

    def _adam(
        self, params: list[Tensor], group: dict[str, Any], shrink: Tensor | None
    ) -> list[Tensor]:
        grads: list[Tensor] = [p.grad for p in params if p.grad is not None]
        if shrink is not None:
            grads = list(torch._foreach_mul(grads, 1.0 / shrink.to(grads[0].device)))
        firsts, seconds = self._moments(params)
        beta1, beta2 = group["betas"]
        torch._foreach_mul_(firsts, beta1)
        torch._foreach_add_(firsts, grads, alpha=1 - beta1 if group["grad_averaging"] else 1.0)
        torch._foreach_mul_(seconds, beta2)
        torch._foreach_addcmul_(seconds, grads, grads, value=1 - beta2)
        step = group["step"]
        first, second = (
            (1 - beta1**step, 1 - beta2**step) if group["bias_correction"] else (1.0, 1.0)
        )
        below = torch._foreach_sqrt(seconds)
        torch._foreach_div_(below, second**0.5)
        torch._foreach_add_(below, group["eps"])
        updates = torch._foreach_div(firsts, first)
        torch._foreach_div_(updates, below)
        return list(updates)

    def _moments(self, params: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        for p in params:
            if not self.state[p]:
                self.state[p] = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        states = [self.state[p] for p in params]
        return [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]


def _trust(params: list[Tensor], updates: list[Tensor], *, clip: bool) -> list[Tensor]:
    """How much each update is scaled; 1 where a weight or its update is 0."""
    weights = torch.stack(torch._foreach_norm(params))
    lengths = torch.stack(torch._foreach_norm(updates))
    trust = torch.where((weights > 0) & (lengths > 0), weights / lengths, 1.0)
    return list((torch.clamp(trust, max=1.0) if clip else trust).unbind())

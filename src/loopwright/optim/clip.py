"""Gradient clipping by norm, by value and adaptively, over a list of parameters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from loopwright.optim.place import by_place

Clip = Callable[[Sequence[Tensor]], "Tensor | None"]
"""Clips the gradients of parameters in place; gives their norm before, if it is measured."""

KINDS = ("norm", "value", "adaptive", "agc")


def make_clip(cfg: dict[str, Any]) -> Clip:
    """The clip that a `clip_grad` dict means.

    `type` is "norm" (the default: `max_norm`, `norm_type`, and `per="param"` where each
    parameter is to be clipped by itself), "value" (`clip_value`) or "adaptive" (`clip_factor`,
    `eps`). Raises ValueError for an empty dict or an unknown type.
    """
    if not isinstance(cfg, dict) or not cfg:
        raise ValueError(
            f"clip_grad must be a dict such as dict(max_norm=1.0), got {cfg!r}; None clips nothing"
        )
    options = {k: v for k, v in cfg.items() if k != "type"}
    kind = cfg.get("type", "norm")
    makers: dict[str, Callable[..., Clip]] = {
        "norm": _norm,
        "value": _value,
        "adaptive": _adaptive,
        "agc": _adaptive,
    }
    if kind not in makers:
        raise ValueError(f"clip_grad.type must be one of {', '.join(KINDS)}, got {kind!r}")
    try:
        return makers[kind](**options)
    except TypeError as error:
        raise TypeError(f"clip_grad of type {kind!r}: {error}") from error


def _norm(
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
    per: str = "global",
) -> Clip:
    max_norm, norm_type = float(max_norm), float(norm_type)
    if per not in ("global", "param"):
        raise ValueError(f"clip_grad.per must be 'global' or 'param', got {per!r}")
    if per == "param":
        return lambda params: clip_each(params, max_norm, norm_type)

    def clip(params: Sequence[Tensor]) -> Tensor | None:
        return clip_norm(params, max_norm, norm_type, error_if_nonfinite)

    return clip


def _value(clip_value: float, foreach: bool | None = None) -> Clip:
    limit = float(clip_value)

    def clip(params: Sequence[Tensor]) -> Tensor | None:
        grads = gradients(params)
        before = total_norm(grads) if grads else None
        clip_to(grads, limit)
        return before

    return clip


def _adaptive(clip_factor: float = 0.01, eps: float = 1e-3) -> Clip:
    def clip(params: Sequence[Tensor]) -> Tensor | None:
        grads = gradients(params)
        before = total_norm(grads) if grads else None
        clip_adaptive(params, clip_factor, eps)
        return before

    return clip


def gradients(params: Sequence[Tensor]) -> list[Tensor]:
    """The gradients that there are."""
    return [grad for p in params if (grad := p.grad) is not None]


def clip_norm(
    params: Sequence[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor | None:
    """Scale all gradients so that their common norm is at most `max_norm`; gives the norm before.

    Nothing is read from the device. None where there is no gradient.
    """
    grads = gradients(params)
    if not grads:
        return None
    total = total_norm(grads, norm_type)
    if error_if_nonfinite and not bool(torch.isfinite(total)):
        raise RuntimeError(f"the gradient norm is {total.item()}, so it cannot be clipped")
    scale = torch.clamp(max_norm / (total + 1e-6), max=1.0)
    for same in by_place(grads):
        torch._foreach_mul_(same, scale.to(same[0].device, non_blocking=True))
    return total


def clip_each(params: Sequence[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor | None:
    """Scale each gradient so that its own norm is at most `max_norm`; gives the norm of all."""
    grads = gradients(params)
    if not grads:
        return None
    total = total_norm(grads, norm_type)
    for same in by_place(grads):
        norms = torch.stack(torch._foreach_norm(same, norm_type))
        scales = torch.clamp(max_norm / (norms + 1e-6), max=1.0)
        torch._foreach_mul_(same, list(scales.unbind()))
    return total


def total_norm(grads: Sequence[Tensor], norm_type: float = 2.0) -> Tensor:
    """The norm of all gradients as one vector, on the device of the first."""
    device = grads[0].device
    norms = [
        norm.to(device, non_blocking=True)
        for same in by_place(grads)
        for norm in torch._foreach_norm(same, norm_type)
    ]
    total = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    return total.full_tensor() if hasattr(total, "full_tensor") else total


def clip_to(grads: Sequence[Tensor], limit: float) -> None:
    """Limit every element of every gradient to [-limit, limit]."""
    for same in by_place(grads):
        torch._foreach_clamp_min_(same, -limit)
        torch._foreach_clamp_max_(same, limit)


def clip_adaptive(params: Sequence[Tensor], clip_factor: float = 0.01, eps: float = 1e-3) -> None:
    """Limit the norm of each unit's gradient to `clip_factor` times the norm of its weights.

    A unit is a row of a weight; a vector is one unit. Brock et al., "High-Performance Large-Scale
    Image Recognition Without Normalization", 2021.
    """
    with torch.no_grad():
        for p in params:
            if p.grad is None:
                continue
            limit = _unit_norm(p.detach()).clamp_(min=eps).mul_(clip_factor)
            scale = limit / _unit_norm(p.grad).clamp_(min=1e-6)
            p.grad.mul_(scale.clamp_(max=1.0))


def _unit_norm(tensor: Tensor) -> Tensor:
    if tensor.ndim <= 1:
        return torch.linalg.vector_norm(tensor)
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True)

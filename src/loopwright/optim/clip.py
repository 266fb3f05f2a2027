"""Gradient clipping by norm, by value and adaptively, over a list of parameters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from loopwright.core.nearest import did_you_mean
from loopwright.optim.options import checked_clip
from loopwright.optim.place import by_place

Clip = Callable[[Sequence[Tensor]], "Tensor | None"]
"""Clips the gradients of parameters in place; gives their norm before, if it is measured."""

Names = Callable[[], dict[int, str]]
"""Gives the names of parameters by their ids."""


def make_clip(cfg: dict[str, Any], names: Names | None = None) -> Clip:
    """The clip that a `clip_grad` dict means.

    `type` is "norm" (the default: `max_norm`, `norm_type`, and `per="param"` where each
    parameter is to be clipped by itself), "value" (`clip_value`) or "adaptive" (`clip_factor`,
    `eps`, and `exclude`: parts of names of the parameters to leave alone, such as the last
    layer's). `foreach=False` takes one tensor at a time. Raises what `checked_clip` raises.
    """
    kind, options = checked_clip(cfg)
    if kind == "norm":
        return _norm(**options)
    return _value(**options) if kind == "value" else _adaptive(names, **options)


def _norm(max_norm: float, norm_type: float = 2.0, per: str = "global", **how: Any) -> Clip:
    clip = clip_each if per == "param" else clip_norm
    return partial(clip, max_norm=float(max_norm), norm_type=float(norm_type), **how)


def _value(clip_value: float, foreach: bool | None = None) -> Clip:
    limit = float(clip_value)

    def clip(params: Sequence[Tensor]) -> Tensor | None:
        grads = gradients(params)
        before = total_norm(grads, foreach=foreach)
        clip_to(grads, limit, foreach=foreach)
        return before

    return clip


def _adaptive(
    names: Names | None,
    clip_factor: float = 0.01,
    eps: float = 1e-3,
    exclude: str | Sequence[str] = (),
) -> Clip:
    left_out = [exclude] if isinstance(exclude, str) else list(exclude)
    _without((), left_out, names)
    clipped: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None

    def clip(params: Sequence[Tensor]) -> Tensor | None:
        nonlocal clipped
        if clipped is None or clipped[0] is not params:
            clipped = (params, _without(params, left_out, names))
        before = total_norm(gradients(params))
        clip_adaptive(clipped[1], clip_factor, eps)
        return before

    return clip


def _without(
    params: Sequence[Tensor], exclude: Sequence[str], names: Names | None
) -> Sequence[Tensor]:
    """The parameters in whose names none of the excluded parts is."""
    if not exclude:
        return params
    named = names() if names is not None else {}
    if not named:
        raise ValueError("clip_grad.exclude goes by names, and this optimizer's have none")
    for part in exclude:
        if not any(part in name for name in named.values()):
            pieces = {p for name in named.values() for p in (name, *name.split("."))}
            hint = did_you_mean(part, sorted(pieces), most=3, cutoff=0.4)
            raise ValueError(f"clip_grad.exclude: {part!r} is in no parameter's name{hint}")
    return [p for p in params if not any(part in named.get(id(p), "") for part in exclude)]


def gradients(params: Sequence[Tensor]) -> list[Tensor]:
    """The gradients that there are."""
    return [grad for p in params if (grad := p.grad) is not None]


def clip_norm(
    params: Sequence[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor | None:
    """Scale all gradients so that their common norm is at most `max_norm`; gives the norm before.

    Nothing is read from the device (but for `error_if_nonfinite`). None where there is no gradient.
    """
    grads = gradients(params)
    total = total_norm(grads, norm_type, foreach, finite=error_if_nonfinite)
    if total is None:
        return None
    scale = torch.clamp(max_norm / (total + 1e-6), max=1.0)
    for same in _together(grads, foreach):
        torch._foreach_mul_(same, scale.to(same[0].device, non_blocking=True))
    return total


def clip_each(
    params: Sequence[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor | None:
    """Scale each gradient so that its own norm is at most `max_norm`; gives the norm of all."""
    grads = gradients(params)
    total = total_norm(grads, norm_type, foreach, finite=error_if_nonfinite)
    if total is None:
        return None
    for same in _together(grads, foreach):
        norms = torch.stack(torch._foreach_norm(same, norm_type))
        scales = torch.clamp(max_norm / (norms + 1e-6), max=1.0)
        torch._foreach_mul_(same, list(scales.unbind()))
    return total


def _together(tensors: Sequence[Tensor], foreach: bool | None) -> list[list[Tensor]]:
    """Which tensors go into one operation: all of one place, or each by itself."""
    return [[t] for t in tensors] if foreach is False else by_place(tensors)


def total_norm(
    grads: Sequence[Tensor],
    norm_type: float = 2.0,
    foreach: bool | None = None,
    *,
    finite: bool = False,
) -> Tensor | None:
    """The norm of all gradients as one vector, on the device of the first; None where none is.

    With `finite` it is read, and RuntimeError raised where it is inf or nan.
    """
    if not grads:
        return None
    device = grads[0].device
    norms = [
        norm.to(device, non_blocking=True)
        for same in _together(grads, foreach)
        for norm in torch._foreach_norm(same, norm_type)
    ]
    total = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    total = total.full_tensor() if hasattr(total, "full_tensor") else total
    if finite and not bool(torch.isfinite(total)):
        raise RuntimeError(f"the gradient norm is {total.item()}, so it cannot be clipped")
    return total


def clip_to(grads: Sequence[Tensor], limit: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient to [-limit, limit]."""
    for same in _together(grads, foreach):
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

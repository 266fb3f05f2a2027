"""Groups the detectron2 way: a weight decay for norms and biases, lr factors, leaf overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from loopwright.optim.groups import NORMS, merge

_NORMS = (*NORMS, nn.LocalResponseNorm)


def get_default_optimizer_params(
    model: nn.Module,
    base_lr: float | None = None,
    weight_decay: float | None = None,
    weight_decay_norm: float | None = None,
    bias_lr_factor: float | None = 1.0,
    weight_decay_bias: float | None = None,
    lr_factor_func: Callable[[str], float] | None = None,
    overrides: dict[str, dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """As few groups as the options of a model's parameters allow, with `param_names`.

    Later rules win: `weight_decay`, `weight_decay_norm`, the factor that `lr_factor_func` gives a
    full name, `overrides` by the last part of a name ("bias"). Frozen parameters are left out,
    shared ones are taken once.

    >>> layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    >>> groups = get_default_optimizer_params(layers, base_lr=0.1, weight_decay_norm=0.0)
    >>> [(g["param_names"], g.get("weight_decay")) for g in groups]
    [(['0.weight', '0.bias'], None), (['1.weight', '1.bias'], 0.0)]
    """
    by_leaf = _overrides(base_lr, bias_lr_factor, weight_decay_bias, overrides)
    factor = lr_factor_func or (lambda name: 1.0)
    if base_lr is None and lr_factor_func is not None:
        raise ValueError("lr_factor_func multiplies base_lr, which is not given")
    groups = []
    seen = set()
    for prefix, module in model.named_modules():
        for leaf, param in module.named_parameters(recurse=False):
            if not param.requires_grad or param in seen:
                continue
            seen.add(param)
            name = f"{prefix}.{leaf}" if prefix else leaf
            options = {"lr": base_lr, "weight_decay": weight_decay}
            if isinstance(module, _NORMS) and weight_decay_norm is not None:
                options["weight_decay"] = weight_decay_norm
            if base_lr is not None:
                options["lr"] = base_lr * factor(name)
            given = {k: v for k, v in (options | by_leaf.get(leaf, {})).items() if v is not None}
            groups.append({"params": [param], "param_names": [name], **given})
    return reduce_param_groups(groups)


def _overrides(
    base_lr: float | None,
    bias_lr_factor: float | None,
    weight_decay_bias: float | None,
    overrides: dict[str, dict[str, Any]] | None,
) -> dict[str, dict[str, Any]]:
    """Overrides by leaf name, those of biases worked in; the caller's dict stays as it is."""
    bias: dict[str, Any] = {}
    if bias_lr_factor is not None and bias_lr_factor != 1.0:
        if base_lr is None:
            raise ValueError("bias_lr_factor multiplies base_lr, which is not given")
        bias["lr"] = base_lr * bias_lr_factor
    if weight_decay_bias is not None:
        bias["weight_decay"] = weight_decay_bias
    given = dict(overrides or {})
    if bias and "bias" in given:
        raise ValueError("give the options of biases by arguments or by overrides, not both")
    return given | {"bias": bias} if bias else given


def reduce_param_groups(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups with equal options made one, in order of appearance."""
    return merge(groups, {})

"""Less memory, same numbers: activations computed again, norms folded into convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.utils.checkpoint import checkpoint

from loopwright.core.nearest import did_you_mean
from loopwright.model.wrap import unwrap


def submodules(model: nn.Module, names: str | Sequence[str], key: str) -> dict[str, nn.Module]:
    """Sub-modules by name ('' is the model). Raises ValueError for a name that is not there."""
    known = dict(unwrap(model).named_modules())
    found = {}
    for name in [names] if isinstance(names, str) else names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"{key}: the model has no sub-module {name!r}{hint}")
        found[name] = known[name]
    return found


def turn_on_activation_checkpointing(model: nn.Module, modules: str | Sequence[str]) -> nn.Module:
    """Forget what these sub-modules computed and compute it again in backward; in place.

    >>> import torch
    >>> net = turn_on_activation_checkpointing(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), ["0"])
    >>> net(torch.ones(1, 1, requires_grad=True)).sum().backward()
    """
    for module in submodules(model, modules, "activation_checkpointing").values():
        again = partial(checkpoint, module.forward, use_reentrant=False)
        module.forward = again  # type: ignore[method-assign]
    return model


def turn_on_efficient_conv_bn_eval(
    model: nn.Module, modules: str | Sequence[str] = ""
) -> nn.Module:
    """Fold batch norms that are in eval mode into the convolutions before them, in place.

    Gradients stay exact while one activation fewer is kept, for fine-tuning with frozen statistics
    (You et al., 2023). Norms in training mode work as before. Raises ValueError for a sub-module
    whose forward cannot be traced, and for one without such a pair.
    """
    for name, module in submodules(model, modules, "efficient_conv_bn_eval").items():
        pairs = conv_bn_pairs(module, name)
        if not pairs:
            where = name or "the model"
            raise ValueError(f"efficient_conv_bn_eval: {where} has no convolution before a norm")
        for conv, norm in pairs:
            norm.forward = partial(_norm_unless_folded, norm, norm.forward)
            conv.forward = partial(_conv_with_norm, conv, norm, conv.forward)
    return model


def conv_bn_pairs(module: nn.Module, name: str = "") -> list[tuple[Any, Any]]:
    """Convolutions whose only use is to be normed, with their norms; each module used once."""
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:
        raise ValueError(
            f"efficient_conv_bn_eval: {name or 'the model'} cannot be traced ({error}); name parts "
            "of it, e.g. its backbone"
        ) from error
    called = [node for node in graph.nodes if node.op == "call_module"]
    uses = [str(node.target) for node in called]
    pairs = []
    for node in called:
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        if uses.count(str(node.target)) > 1 or uses.count(str(before.target)) > 1:
            continue
        norm = module.get_submodule(str(node.target))
        conv = module.get_submodule(str(before.target))
        if isinstance(norm, _BatchNorm) and isinstance(conv, _ConvNd) and not conv.transposed:
            pairs.append((conv, norm))
    return pairs


def _folds(norm: _BatchNorm) -> bool:
    return not norm.training and norm.track_running_stats


def _norm_unless_folded(norm: _BatchNorm, forward: Any, x: Tensor) -> Tensor:
    return x if _folds(norm) else forward(x)


def _conv_with_norm(conv: Any, norm: Any, forward: Any, x: Tensor) -> Tensor:
    if not _folds(norm):
        result: Tensor = forward(x)
        return result
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    bias = shift * scale
    if norm.bias is not None:
        bias = bias + norm.bias
    weight = conv.weight * scale.reshape(-1, *[1] * (conv.weight.ndim - 1))
    folded: Tensor = conv._conv_forward(x, weight, bias)
    return folded

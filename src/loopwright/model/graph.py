"""Which parameters a loss depends on, read from its autograd graph."""

from __future__ import annotations

import warnings

from torch import Tensor, nn


def parameters_without_part(loss: Tensor, model: nn.Module, *, warn: bool = False) -> list[str]:
    """Names of trainable parameters that get no gradient from a loss.

    >>> import torch
    >>> net = nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
    >>> parameters_without_part(net["used"](torch.ones(1, 1)).sum(), net)
    ['idle.weight', 'idle.bias']
    """
    reached = _leaves(loss)
    idle = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in reached]
    if idle and warn:
        warnings.warn(f"the loss does not depend on {', '.join(idle)}", stacklevel=3)
    return idle


def detect_anomalous_params(loss: Tensor, model: nn.Module) -> None:
    """MMEngine's name: warn about parameters that get no gradient from a loss."""
    parameters_without_part(loss, model, warn=True)


def _leaves(loss: Tensor) -> set[int]:
    found: set[int] = set()
    seen: set[object] = set()
    waiting = [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.add(id(variable))
        waiting.extend(parent for parent, _ in node.next_functions)
    return found

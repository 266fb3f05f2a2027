"""Backward and step without what torch does around them for cases that are not at hand.

For a small model a third of an iteration is spent in checks of arguments that a training loop
never gives, and in labels for a profiler that does not run. Both functions fall back to torch's
own verb wherever something is asked for that they leave out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import graph
from torch.optim import Optimizer, optimizer

_ENGINE: Any = getattr(graph, "_engine_run_backward", None)
_GLOBAL_HOOKS = tuple(
    getattr(optimizer, name, {0: None})
    for name in ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
)
_PROFILING: Any = getattr(torch.autograd, "_profiler_enabled", lambda: True)
_OWN_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


def backward(loss: Tensor, options: dict[str, Any]) -> None:
    """`loss.backward(**options)`; a plain scalar loss goes to the engine at once.

    >>> w = torch.ones(2, requires_grad=True)
    >>> backward((3 * w).sum(), {})
    >>> w.grad.tolist()
    [3.0, 3.0]
    """
    plain = _ENGINE is not None and type(loss) is Tensor and loss.dim() == 0
    if options or not plain or loss.grad_fn is None or torch.compiler.is_compiling():
        slow: Any = loss.backward
        slow(**options)
        return
    ones = torch.ones_like(loss)
    _ENGINE((loss,), (ones,), False, False, (), allow_unreachable=True, accumulate_grad=True)


def step(of: Optimizer, options: dict[str, Any]) -> None:
    """`of.step(**options)`; where nothing listens, without the listening."""
    raw = getattr(type(of).step, "__wrapped__", None)
    if raw is None or "step" in of.__dict__ or _listened_to(of):
        of.step(**options)
    else:
        raw(of, **options)


def _listened_to(of: Optimizer) -> bool:
    """Whether a hook or a profiler waits for the step."""
    if any(_GLOBAL_HOOKS) or _PROFILING():
        return True
    return any(getattr(of, hooks, True) for hooks in _OWN_HOOKS)

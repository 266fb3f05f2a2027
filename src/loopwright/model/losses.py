"""From what a model's forward returned to one loss to go backward from, and what to log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


class NoLossError(RuntimeError):
    """A training forward gave nothing to go backward from; the message says what it gave."""


def parse_losses(losses: Any) -> tuple[Tensor, dict[str, Any]]:
    """The sum of all entries whose name contains 'loss', and every entry as one detached number.

    A tensor counts with its mean, a list of tensors with the sum of their means; `loss` in the
    numbers is the sum. A tensor alone is the loss itself. Raises NoLossError where there is none.

    >>> import torch
    >>> total, logs = parse_losses({"loss_cls": torch.tensor([1.0, 3.0]), "acc": torch.tensor(0.5)})
    >>> total.item(), {name: value.item() for name, value in logs.items()}
    (2.0, {'loss': 2.0, 'loss_cls': 2.0, 'acc': 0.5})
    """
    if isinstance(losses, Tensor):
        total = losses if losses.ndim == 0 else losses.mean()
        return total, {"loss": total.detach()}
    if not isinstance(losses, Mapping):
        raise NoLossError(f"the training forward must give losses, it gave {describe(losses)}")
    summed: Tensor | None = None
    count = 0
    logs: dict[str, Any] = {"loss": None}
    for name, value in losses.items():
        mean = _mean(name, value)
        if "loss" in name:
            summed = mean if summed is None else summed + mean
            count += 1
        logs[name] = mean.detach() if isinstance(mean, Tensor) else mean
    if not isinstance(summed, Tensor):
        raise NoLossError(
            f"no entry of the training forward's result is named '...loss...': got "
            f"{describe(losses)}"
        )
    logs["loss"] = summed.detach() if count > 1 or "loss" in losses else _only(logs, losses)
    return summed, logs


def _only(logs: dict[str, Any], losses: Mapping[str, Any]) -> Any:
    return next(logs[name] for name in losses if "loss" in name)


def _mean(name: str, value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if value.ndim == 0 else _float(value).mean()
    if isinstance(value, list | tuple) and value and all(isinstance(v, Tensor) for v in value):
        means = [v if v.ndim == 0 else _float(v).mean() for v in value]
        total = means[0]
        for mean in means[1:]:
            total = total + mean
        return total
    if isinstance(value, int | float) and "loss" not in name:
        return value
    raise NoLossError(f"{name} must be a tensor or a list of tensors, got {describe(value)}")


def _float(value: Tensor) -> Tensor:
    return value if value.is_floating_point() or value.is_complex() else value.float()


def describe(value: Any, depth: int = 1) -> str:
    """What a value is, in few words, for an error message.

    >>> import torch
    >>> describe({"logits": torch.zeros(4, 10)})
    'dict(logits=tensor of shape (4, 10))'
    """
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping) and depth > 0:
        inside = ", ".join(f"{key}={describe(v, depth - 1)}" for key, v in list(value.items())[:8])
        return f"dict({inside})" if value else "an empty dict"
    if isinstance(value, list | tuple) and depth > 0:
        kind = type(value).__name__
        inside = f" of {describe(value[0], depth - 1)}" if value else ""
        return f"{kind} of {len(value)}{inside}" if value else f"an empty {kind}"
    if isinstance(value, int | float | str | None.__class__):
        return repr(value)
    return f"a {type(value).__name__}"

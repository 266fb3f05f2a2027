"""GradientStatsHook: norms of weights and gradients by part of the model."""

from __future__ import annotations

from typing import Any

import torch

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class GradientStatsHook(Hook):
    """Puts the norm of weights and gradients of each part every ``interval`` iterations.

    A part is the first ``depth`` names of a parameter (``backbone.layers`` with 2). Everything
    stays on the device until a record is made.
    """

    priority = "ABOVE_NORMAL"

    def __init__(self, interval: int = 50, depth: int = 1) -> None:
        self.interval = interval
        self.depth = depth
        self._due = False

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self._due = self.every_n_train_iters(runner, self.interval)

    def after_backward(self, runner: Any) -> None:
        """Gradients are there and not yet zeroed (scaled, where a loss scaler is at work)."""
        if self._due:
            parts: dict[str, list[Any]] = {}
            for name, parameter in runner.model.named_parameters():
                if parameter.grad is not None:
                    parts.setdefault(self._part(name), []).append(parameter)
            for part, parameters in parts.items():
                self._put(runner, f"grad_norm/{part}", [p.grad for p in parameters])
                self._put(runner, f"weight_norm/{part}", [p.detach() for p in parameters])

    def _part(self, name: str) -> str:
        return ".".join(name.split(".")[: self.depth])

    @staticmethod
    def _put(runner: Any, name: str, tensors: list[Any]) -> None:
        norms = torch.stack(torch._foreach_norm(tensors))
        runner.storage.put_scalar(f"train/{name}", torch.linalg.vector_norm(norms))

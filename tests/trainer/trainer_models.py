"""Small models and data for trainers."""

from __future__ import annotations

import torch
from torch import nn


class TwoLosses(nn.Module):
    """Linear regression that tells two losses and, if asked, a metric."""

    def __init__(self, metric: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(4, 1)
        self.metric = metric

    def forward(self, batch):
        out = self.fc(batch)
        losses = {"loss_fit": (out - 1).square().mean(), "loss_size": 0.1 * out.abs().mean()}
        return losses | ({"accuracy": 0.5} if self.metric else {})


class Spoils(TwoLosses):
    """`loss_size` is NaN from iteration `at` on."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, batch):
        losses = super().forward(batch)
        self.calls += 1
        if self.calls > self.at:
            losses["loss_size"] = losses["loss_size"] * float("nan")
        return losses


def batches(count: int = 7, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 4, generator=generator) for _ in range(count)]


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

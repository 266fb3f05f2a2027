"""Training the detectron2 way: SimpleTrainer with hooks, metrics through get_event_storage.

    python recipes/trainer_detectron2/train.py --output work_dirs/trainer_detectron2

The imports are detectron2's; one call lets Loopwright answer them. With detectron2 itself installed
the same file runs there without that call.
"""

from __future__ import annotations

import argparse
import json
import os

import torch
from torch import nn
from torch.nn import functional as F

from loopwright.compat import install
from loopwright.data import build_dataloader
from loopwright.vision.datasets import DigitsClassification

install("detectron2")

from detectron2.engine import HookBase, SimpleTrainer, hooks
from detectron2.utils.events import (
    CommonMetricPrinter,
    JSONWriter,
    get_event_storage,
)


class HelloHook(HookBase):
  def after_step(self):
    if self.trainer.iter % 100 == 0:
      print(f"Hello at iteration {self.trainer.iter}!")


class Classifier(nn.Module):
    """Three convolutions; in training it gives its losses, otherwise its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * 16, 10),
        )  # fmt: skip

    def forward(self, batch):
        logits = self.body(batch["inputs"])
        if not self.training:
            return logits
        labels = batch["data_samples"]
        if self.training:
            value = (logits.argmax(1) == labels).float().mean()
            storage = get_event_storage()
            storage.put_scalar("some_accuracy", value)
        return {"loss_cls": F.cross_entropy(logits, labels)}


def accuracy(model: nn.Module, split: str) -> dict[str, float]:
    """Per cent right on a split."""
    data = DigitsClassification(split)
    was = model.training
    model.eval()
    with torch.no_grad():
        right = model({"inputs": data.inputs}).argmax(1) == data.labels
    model.train(was)
    return {f"{split}_accuracy": round(100 * float(right.float().mean()), 2)}


def loader(seed: int):
    dataset = DigitsClassification("train", augment=True)
    return build_dataloader(
        {
            "batch_size": 64,
            "num_workers": 0,
            "dataset": dataset,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        seed=seed,
    )


def train(output: str, *, seed: int = 0, max_iter: int = 400) -> dict[str, float]:
    """Train and test; the test accuracy."""
    os.makedirs(output, exist_ok=True)
    torch.manual_seed(seed)
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max_iter)
    trainer = SimpleTrainer(model, loader(seed), optimizer, seed=seed)
    trainer.register_hooks(
        [
            hooks.IterationTimer(),
            hooks.LRScheduler(optimizer, schedule),
            HelloHook(),
            hooks.EvalHook(100, lambda: accuracy(model, "val")),
            hooks.PeriodicWriter(
                [CommonMetricPrinter(max_iter), JSONWriter(os.path.join(output, "metrics.json"))],
                period=20,
            ),
        ]
    )
    trainer.train(0, max_iter)
    return accuracy(model, "test")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="SimpleTrainer on digits.")
    parser.add_argument("--output", default="work_dirs/trainer_detectron2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-iter", type=int, default=400)
    given = parser.parse_args()
    print(json.dumps(train(given.output, seed=given.seed, max_iter=given.max_iter)))

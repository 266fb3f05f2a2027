"""The warm-up rules of YOLO recipes: lr, bias lr and momentum set by iteration and epoch (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Any


def between(x: float, end: float, first: float, last: float) -> float:
    """Linear from `first` at 0 to `last` at `end`, and flat outside."""
    if x <= 0:
        return first
    return last if x >= end else (last - first) / end * x + first


@dataclass(frozen=True, slots=True)
class YOLOv5Rule:
    """YOLOv5's: every epoch an lr by `lr_fn`, and a warm-up in which biases start high.

    The third group is the biases'. What a group had when the run began is its base.
    """

    scheduler_type: str = "linear"
    lr_factor: float = 0.01
    max_epochs: int = 300
    warmup_epochs: float = 3
    warmup_bias_lr: float = 0.1
    warmup_momentum: float = 0.8
    warmup_mim_iter: int = 1000

    def lr_fn(self, epoch: float) -> float:
        """The share of the base lr in an epoch."""
        if self.scheduler_type == "cosine":
            return (1 - cos(epoch * pi / self.max_epochs)) / 2 * (self.lr_factor - 1) + 1
        if self.scheduler_type == "linear":
            return (1 - epoch / self.max_epochs) * (1.0 - self.lr_factor) + self.lr_factor
        raise ValueError(f"scheduler_type must be linear or cosine, got {self.scheduler_type!r}")

    def warmup(self, epoch_length: int) -> int:
        """How many iterations the warm-up lasts."""
        return max(round(self.warmup_epochs * epoch_length), self.warmup_mim_iter)

    def before_iter(
        self, bases: list[dict[str, Any]], it: int, epoch: int, epoch_length: int
    ) -> list[dict[str, Any]]:
        """What to set in each group before an iteration; empty dicts after the warm-up."""
        warmup = self.warmup(epoch_length)
        if it > warmup:
            return [{} for _ in bases]
        changes = []
        for i, base in enumerate(bases):
            first = self.warmup_bias_lr if i == 2 else 0.0
            change = {"lr": between(it, warmup, first, base["lr"] * self.lr_fn(epoch))}
            if "momentum" in base:
                change["momentum"] = between(it, warmup, self.warmup_momentum, base["momentum"])
            changes.append(change)
        return changes

    def after_epoch(self, bases: list[dict[str, Any]], epoch: int) -> list[dict[str, Any]]:
        """What to set in each group after a finished epoch (counted from 0)."""
        return [{"lr": base["lr"] * self.lr_fn(epoch)} for base in bases]


@dataclass(frozen=True, slots=True)
class PPYOLOERule:
    """PP-YOLOE's: a linear warm-up, then a cosine over `total_epochs`, both by iteration."""

    warmup_min_iter: int = 1000
    start_factor: float = 0.0
    warmup_epochs: float = 5
    min_lr_ratio: float = 0.0
    total_epochs: int = 360

    def before_iter(
        self, bases: list[dict[str, Any]], it: int, epoch: int, epoch_length: int
    ) -> list[dict[str, Any]]:
        """What to set in each group before an iteration."""
        warmup = max(round(self.warmup_epochs * epoch_length), self.warmup_min_iter)
        total = self.total_epochs * epoch_length
        if it <= warmup:
            share = it / warmup
            return [
                {"lr": base["lr"] * (1 - share) * self.start_factor + share * base["lr"]}
                for base in bases
            ]
        turn = 0.5 * (cos((it - warmup) * pi / (total - warmup)) + 1)
        changes = []
        for base in bases:
            low = base["lr"] * self.min_lr_ratio
            changes.append({"lr": low + (base["lr"] - low) * turn})
        return changes

    def after_epoch(self, bases: list[dict[str, Any]], epoch: int) -> list[dict[str, Any]]:
        """Nothing: this rule counts iterations alone."""
        return [{} for _ in bases]

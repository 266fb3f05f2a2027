"""A run in which everything that can be forgotten matters, small enough to be killed often."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn

from loopwright.evaluation import BaseMetric
from loopwright.model import BaseModel


class Net(BaseModel):
    """Batch norm (buffers), dropout and noise in forward (randomness of the step)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
        )

    def forward(self, inputs, data_samples=None, mode="tensor"):
        if mode == "loss":
            logits = self.net(inputs + 0.05 * torch.randn_like(inputs))
            return {"loss": nn.functional.cross_entropy(logits.float(), data_samples)}
        return self.net(inputs).argmax(1)


class Samples(torch.utils.data.Dataset):
    """Samples that are augmented by draws from python's, numpy's and torch's global generators."""

    metainfo = {"classes": ("a", "b", "c")}

    def __init__(self, length: int = 24, augment: bool = True) -> None:
        generator = torch.Generator().manual_seed(length)
        self.inputs = torch.randn(length, 8, generator=generator)
        self.labels = (self.inputs[:, 0] > 0).long() + (self.inputs[:, 1] > 0).long()
        self.augment = augment

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index):
        x = self.inputs[index].clone()
        if self.augment:
            x = x * (1 + 0.1 * random.random()) + 0.1 * torch.randn(8)
            x += torch.from_numpy(np.random.normal(0, 0.1, 8).astype("float32"))
        return {"inputs": x, "data_samples": self.labels[index]}


class Right(BaseMetric):
    """The share of right answers."""

    def process(self, data_batch, data_samples):
        right = torch.stack(list(data_samples)) == data_batch["data_samples"]
        self.results += right.tolist()

    def compute_metrics(self, results):
        return {"right": sum(results) / len(results)}


def loader(workers: int, *, train: bool, persistent: bool = True, length: int = 24) -> dict:
    return {
        "batch_size": 4,
        "num_workers": workers,
        "persistent_workers": persistent and workers > 0,
        "dataset": Samples(length if train else 8, augment=train),
        "sampler": {"type": "DefaultSampler", "shuffle": train},
        "collate_fn": {"type": "default_collate"},
    }


LOOPS = {
    "epoch": {"type": "EpochBasedTrainLoop", "max_epochs": 5, "val_interval": 1},
    "iter": {"type": "IterBasedTrainLoop", "max_iters": 30, "val_interval": 7},
}


def spec(folder, *, kind="epoch", workers=0, async_save=False, persistent=True, **changes) -> dict:
    """Accumulation over 3 (saves fall inside its windows), bf16, EMA, two schedules, validation."""
    torch.manual_seed(0)
    config = {
        "model": Net(),
        "work_dir": str(folder),
        "train_dataloader": loader(workers, train=True, persistent=persistent),
        "train_cfg": LOOPS[kind],
        "val_dataloader": loader(0, train=False),
        "val_cfg": {},
        "val_evaluator": [Right()],
        "optim_wrapper": {
            "type": "AmpOptimWrapper",
            "dtype": "bfloat16",
            "optimizer": {"type": "AdamW", "lr": 0.01},
            "accumulative_counts": 3,
            "clip_grad": {"max_norm": 1.0},
        },
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 8},
            {"type": "CosineAnnealingLR", "T_max": 30, "by_epoch": False},
        ],
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 2},
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": 2,
                "by_epoch": False,
                "max_keep_ckpts": 2,
                "save_best": "right",
                "rule": "greater",
                "async_save": async_save,
            },
        },
        "custom_hooks": [{"type": "EMAHook", "momentum": 0.1}],
        "randomness": {"seed": 7},
        "log_level": "CRITICAL",
        "resume": True,
    }
    return {**config, **changes}

"""Two processes train with a split optimizer state; what came out is printed as one JSON line."""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from loopwright.config import Config
from loopwright.model import unwrap
from loopwright.optim import ZeroRedundancyOptimizer
from loopwright.optim.zero import told_together
from loopwright.runner import Runner

ADAMW = {"type": "AdamW", "lr": 0.01, "weight_decay": 0.1}
ZERO = {**ADAMW, "type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW"}
X = torch.linspace(-1, 1, 48).reshape(16, 3)
Y = (torch.arange(16) % 3 == 0).long()


def trained(folder, optimizer, *, epochs=2, resume=False):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4), nn.Linear(4, 2))
    data = {
        "batch_size": 2,
        "dataset": TensorDataset(X, Y),
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    }
    cfg = {
        "model": model,
        "loss": "CrossEntropyLoss",
        "work_dir": str(folder),
        "train_dataloader": data,
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": epochs},
        "optim_wrapper": {
            "optimizer": optimizer,
            "paramwise_cfg": {"custom_keys": {"0.": {"lr_mult": 0.5}}},
            "clip_grad": {"max_norm": 0.5},
        },
        "param_scheduler": {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 6},
        "launcher": "pytorch",
        "randomness": {"seed": 0},
        "log_level": "ERROR",
        "resume": resume,
    }
    runner = Runner.from_cfg(Config(cfg))
    runner.train()
    return runner


def weights(runner):
    return [float(w) for p in unwrap(runner.model).parameters() for w in p.detach().reshape(-1)]


def main(folder):
    torch.set_num_threads(1)
    folder = Path(folder)
    plain = trained(folder / "plain", ADAMW)
    runner = trained(folder / "zero", ZERO)
    said = {"plain": weights(plain)}
    said["together"] = [told_together(run.optim_wrapper) for run in (plain, runner)]
    said["zero"] = weights(runner)
    zero = runner.optim_wrapper.optimizer
    assert isinstance(zero, ZeroRedundancyOptimizer)
    said["kept"] = sum(state["exp_avg"].numel() for state in zero.state.values())
    trained(folder / "resumed", ZERO, epochs=1)
    said["resumed"] = weights(trained(folder / "resumed", ZERO, resume=True))
    try:
        ZeroRedundancyOptimizer(unwrap(runner.model).parameters(), "Lamb", lr=0.1)
    except ValueError as error:
        said["refused"] = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What each process of test_ranks.py runs: DefaultTrainer, straight, stopped, or going on.

torchrun --nproc_per_node=2 ranks_script.py FOLDER          goes on where the run was stopped
"""

import hashlib
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from loopwright import dist
from loopwright.config import Config
from loopwright.log import JSONWriter
from loopwright.model import unwrap
from loopwright.registry import MODELS
from loopwright.trainer import (
    DefaultTrainer,
    HookBase,
    default_argument_parser,
    default_setup,
    launch,
)

STOP_AT = 6


@MODELS.register_module()
class NetOfRanks(nn.Module):
    """A classifier with dropout, so that what the ranks draw matters."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, inputs):
        return self.layers(inputs)


def config(folder):
    generator = torch.Generator().manual_seed(0)
    data = [(x, int(x[0] > 0)) for x in torch.randn(23, 4, generator=generator)]
    loader = {"dataset": data, "batch_size": 4, "collate_fn": {"type": "default_collate"}}
    return Config(
        {
            "model": {"type": "NetOfRanks"},
            "loss": {"type": "CrossEntropyLoss"},
            "work_dir": str(folder),
            "train_dataloader": {**loader, "sampler": {"type": "DefaultSampler", "shuffle": True}},
            "train_cfg": {"by_epoch": True, "max_epochs": 4, "val_interval": 2},
            "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.3}},
            "param_scheduler": {"type": "LinearLR", "start_factor": 0.1, "end": 2},
            "val_dataloader": {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False}},
            "val_evaluator": {"type": "Accuracy"},
            "val_cfg": {"type": "ValLoop"},
            "randomness": {"seed": 1},
            "default_hooks": {"logger": {"interval": 5}, "checkpoint": {"interval": 1}},
        }
    )  # fmt: skip


class Trainer(DefaultTrainer):
    """Writes no event files: importing TensorBoard takes longer than the training."""

    def build_writers(self):
        return [JSONWriter(f"{self.output_dir}/metrics.json")]


class Stop(HookBase):
    """Rank 1 has the process that started both stopped, and waits until that reaches it."""

    def after_backward(self):
        if dist.get_rank() == 1 and self.trainer.iter == STOP_AT:
            os.kill(os.getppid(), signal.SIGTERM)
            while self.trainer._heard.halting is None:
                time.sleep(0.01)


class Fails(HookBase):
    """An error between two iterations."""

    def before_step(self):
        if self.trainer.iter == STOP_AT:
            raise LookupError("a bad hook")


class Draws(HookBase):
    """Remembers a number that this rank draws behind each of its iterations."""

    def __init__(self):
        self.drawn = []

    def after_step(self):
        self.drawn.append(torch.rand(1).item())


def train(folder, *hooks, resume=False):
    """Train in a folder; what this rank ended with goes into a file there."""
    torch.set_num_threads(1)
    torch.manual_seed(dist.get_rank())
    cfg = config(folder)
    default_setup(cfg, default_argument_parser().parse_args([]))
    begins = torch.rand(1).item()
    torch.manual_seed(dist.get_rank())
    trainer = Trainer(cfg)
    draws = Draws()
    trainer.register_hooks([draws, *hooks])
    trainer.resume_or_load(resume=resume)
    results = trainer.train()
    digest = hashlib.sha256()
    for tensor in unwrap(trainer.model).parameters():
        digest.update(tensor.detach().numpy().tobytes())
    writers = [type(hook).__name__ for hook in trainer._hooks if hasattr(hook, "_writers")]
    told = {
        "begins": begins,
        "weights": digest.hexdigest(),
        "results": results,
        "drawn": draws.drawn,
        "writers": writers,
        "start": trainer.start_iter,
        "losses": trainer.storage.history("total_loss").values(),
    }
    Path(folder, f"rank{dist.get_rank()}.json").write_text(json.dumps(told))


def straight_and_stopped(folder):
    train(Path(folder, "straight"))
    with suppress(LookupError):
        train(Path(folder, "failed"), Fails())
    dist.barrier()
    train(Path(folder, "failed"), resume=True)
    train(Path(folder, "parts"), Stop())


def resumed(folder):
    train(Path(folder, "parts"), resume=True)


if __name__ == "__main__":
    launch(resumed, 2, args=(sys.argv[1],))

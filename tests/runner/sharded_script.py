"""What each process of test_sharded.py runs: train sharded, resume from the first checkpoint."""

import json
import sys
from pathlib import Path

import torch
import toy_models  # noqa: F401

from loopwright.config import Config
from loopwright.model import unwrap, whole
from loopwright.runner import Runner


def runner_of(folder, **changes):
    cfg = {
        "model": {"type": "ToyResNet"},
        "work_dir": str(folder),
        "train_dataloader": {
            "batch_size": 2,
            "dataset": {"type": "ToyClasses", "length": 8},
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.01}},
        "model_wrapper_cfg": {"type": "MMFullyShardedDataParallel"},
        "launcher": "pytorch",
        "randomness": {"seed": 0},
        "log_level": "ERROR",
        **changes,
    }
    return Runner.from_cfg(Config(cfg))


def weights(runner):
    return {n: whole(p.detach()).tolist() for n, p in unwrap(runner.model).named_parameters()}


def main(folder):
    torch.set_num_threads(1)
    straight = runner_of(Path(folder, "straight"))
    straight.train()
    first = str(Path(folder, "straight", "epoch_1"))
    resumed = runner_of(Path(folder, "resumed"), resume=first)
    resumed.train()
    told = {
        "same": weights(straight) == weights(resumed),
        "iters": [straight.iter, resumed.iter],
        "local": sum(p.to_local().numel() for p in resumed.model.parameters()),
        "whole": sum(p.numel() for p in resumed.model.parameters()),
    }
    Path(folder, f"rank_{straight.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])

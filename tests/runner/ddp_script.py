"""What each process of test_distributed.py runs: train, print a digest of the weights."""

import hashlib
import signal
import sys

import torch
import toy_models  # noqa: F401

from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.model import unwrap
from loopwright.runner import Runner


class Terminate(Hook):
    """One rank gets a SIGTERM in its third iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.rank == 1 and runner.iter == 2:
            signal.raise_signal(signal.SIGTERM)


class TerminateInValidation(Hook):
    """One rank gets a SIGTERM while the first validation runs."""

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if runner.rank == 1 and runner.iter == 5:
            signal.raise_signal(signal.SIGTERM)


def main(folder, *wishes):
    torch.set_num_threads(1)
    data = {
        "batch_size": 2,
        "dataset": {"type": "ToyClasses", "length": 20},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    }
    cfg = {
        "model": {"type": "ToyResNet"},
        "work_dir": folder,
        "train_dataloader": data,
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 2},
        "launcher": "pytorch",
        "randomness": {"seed": 0},
        "log_level": "ERROR",
        "resume": "resume" in wishes,
        "custom_hooks": [Terminate()] if "terminate" in wishes else [],
    }
    if "validate" in wishes:
        cfg |= {
            "val_dataloader": {**data, "sampler": {"type": "DefaultSampler", "shuffle": False}},
            "val_cfg": {"type": "ValLoop", "loss": True},
            "custom_hooks": [TerminateInValidation()],
        }
    runner = Runner.from_cfg(Config(cfg))
    runner.train()
    digest = hashlib.sha256()
    # Parameters: running statistics are each rank's own until the next forward broadcasts them.
    for tensor in unwrap(runner.model).parameters():
        digest.update(tensor.detach().numpy().tobytes())
    # One write, so that the lines of both ranks cannot run into one another.
    sys.stdout.write(f"rank {runner.rank} iter {runner.iter} {digest.hexdigest()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

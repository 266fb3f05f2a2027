"""What each process of test_sharded.py runs: an average of a sharded model, followed by hand."""

import json
import sys
from pathlib import Path

import torch
from sharded_script import runner_of

from loopwright.checkpoint import load_any
from loopwright.hooks import Hook
from loopwright.model import unwrap, whole

EMA = {"type": "EMAHook", "momentum": 0.25}
VALIDATED = {
    "val_dataloader": {
        "batch_size": 2,
        "dataset": {"type": "ToyClasses", "length": 4},
        "collate_fn": {"type": "default_collate"},
    },
    "val_cfg": {"type": "ValLoop", "loss": True},
    "model_wrapper_cfg": {"type": "MMFullyShardedDataParallel", "reshard_after_forward": False},
}


def values(module):
    return {name: whole(p.detach()).clone() for name, p in module.named_parameters()}


class Following(Hook):
    """The average by hand, and whether validation sees it and training does not."""

    priority = "VERY_LOW"

    def __init__(self):
        self.average, self.trained, self.right = None, None, []

    def before_train_epoch(self, runner):
        if self.trained is not None:
            self.right.append(same(values(unwrap(runner.model)), self.trained))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained = values(unwrap(runner.model))
        if self.average is None:
            self.average = self.trained
        for name, value in self.trained.items():
            self.average = {**self.average, name: torch.lerp(self.average[name], value, 0.25)}

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.right.append(same(values(unwrap(runner.model)), self.average))


def same(one, two):
    return all(torch.allclose(one[name], two[name], atol=1e-6) for name in two)


def averaged(runner):
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == "EMAHook")
    return values(hook.ema_model.module)


def main(folder):
    torch.set_num_threads(1)
    by_hand = Following()
    straight = runner_of(Path(folder, "ema"), custom_hooks=[EMA, by_hand], **VALIDATED)
    straight.train()
    first = str(Path(folder, "ema", "epoch_1"))
    resumed = runner_of(Path(folder, "again"), custom_hooks=[EMA], resume=first, **VALIDATED)
    resumed.train()
    one, two = averaged(straight), averaged(resumed)
    saved = load_any(str(Path(folder, "ema", "epoch_2")))
    told = {
        "looked": by_hand.right,
        "by hand": same(one, by_hand.average),
        "moved": not same(one, by_hand.trained),
        "resumed": all(torch.equal(one[name], two[name]) for name in one),
        "saved": all(torch.equal(saved["state_dict"][name], one[name]) for name in one),
        "raw": same(saved["ema_state_dict"], by_hand.trained),
    }
    Path(folder, f"average_{straight.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])

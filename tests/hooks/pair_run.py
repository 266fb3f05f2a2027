"""One of two processes of a run with batch norm: buffers and validation loss as one JSON line."""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))
import toy_models  # noqa: F401

from loopwright import dist
from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.runner import Runner


class Watch(Hook):
    """The buffers just before they are synchronised."""

    priority = "HIGHEST"

    def after_train_epoch(self, runner):
        self.before = runner.model.module.backbone.bn1.running_mean.tolist()


def loader(length, shuffle):
    return {
        "batch_size": 2,
        "dataset": {"type": "ToyClasses", "length": length},
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "collate_fn": {"type": "default_collate"},
    }


def main(work_dir, hooks):
    torch.set_num_threads(1)
    watch = Watch()
    runner = Runner.from_cfg(
        Config(
            {
                "model": {"type": "ToyResNet"},
                "work_dir": work_dir,
                "launcher": "pytorch",
                "env_cfg": {"dist_cfg": {"backend": "gloo"}, "device": "cpu"},
                "train_dataloader": loader(12, True),
                "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 1},
                "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
                "val_dataloader": loader(8, False),
                "val_cfg": {"type": "ValLoop", "loss": True},
                "custom_hooks": [watch, *({"type": name} for name in hooks)],
                "randomness": {"seed": 0},
                "log_level": "ERROR",
            }
        )
    )
    runner.train()
    model = runner.model.module.eval()
    dataset = runner.val_dataloader.dataset
    items = [dataset[i] for i in range(len(dataset))]
    batch = [torch.stack([item[key] for item in items]) for key in ("inputs", "data_samples")]
    with torch.no_grad():
        by_hand = model(*batch, mode="loss")["loss"].item()
    told = runner.storage.history("val/loss").current()
    found = {
        "before": watch.before,
        "after": model.backbone.bn1.running_mean.tolist(),
        "loss": told,
        "by_hand": by_hand,
    }
    dist.cleanup()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

"""A toy run to trace: three hooks of different priority around a linear model, on any engine.

``engine`` gives the names (Hook, BaseModel, BaseMetric, Runner); record.py passes MMEngine's, the
tests pass ours.
"""

import torch
from torch import nn

POINTS = (
    "before_run after_load_checkpoint before_train before_train_epoch before_train_iter "
    "after_train_iter after_train_epoch before_val before_val_epoch before_val_iter after_val_iter "
    "after_val_epoch after_val before_save_checkpoint after_train after_run"
).split()
HYPER = {
    "epoch": {
        "train_cfg": {
            "type": "EpochBasedTrainLoop",
            "max_epochs": 3,
            "val_begin": 2,
            "val_interval": 1,
        },
        "by_epoch": True,
    },
    "iter": {
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 10, "val_interval": 4},
        "by_epoch": False,
    },
}


class Numbers(torch.utils.data.Dataset):
    """Eleven samples of three features and a target, the same everywhere."""

    metainfo = {}

    def __init__(self, length):
        generator = torch.Generator().manual_seed(7)
        self.inputs = torch.randn(length, 3, generator=generator)
        self.targets = torch.randn(length, 1, generator=generator)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return {"inputs": self.inputs[index], "data_samples": self.targets[index]}


def make_model(engine):
    class Toy(engine.BaseModel):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, inputs, data_samples=None, mode="tensor"):
            found = self.second(torch.tanh(self.first(inputs)))
            if mode == "loss":
                return {"loss": (found - data_samples).square().mean(), "bias": found.mean() * 0}
            return [found] if mode == "predict" else found

    return Toy()


def make_metric(engine):
    class Count(engine.BaseMetric):
        def process(self, data_batch, data_samples):
            self.results += [1] * len(data_batch["inputs"])

        def compute_metrics(self, results):
            return {"count": len(results)}

    return Count()


def make_hooks(engine, trace):
    """One for every point at HIGH, one generic at NORMAL, one at LOWEST with some points."""

    def write(name, point, runner, batch_idx=None):
        trace.append([name, point, runner.iter, runner.epoch, batch_idx])

    class Every(engine.Hook):
        priority = "HIGH"

    for point in POINTS:

        def method(self, runner, batch_idx=None, point=point, **facts):
            write("Every", point, runner, batch_idx)

        setattr(Every, point, method)

    class Generic(engine.Hook):
        def _after_iter(self, runner, batch_idx, data_batch=None, outputs=None, mode="train"):
            write("Generic", f"after_iter_{mode}", runner, batch_idx)

        def _before_epoch(self, runner, mode="train"):
            write("Generic", f"before_epoch_{mode}", runner)

    class Last(engine.Hook):
        priority = "LOWEST"

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            write("Last", "after_train_iter", runner, batch_idx)

        def after_train_epoch(self, runner):
            write("Last", "after_train_epoch", runner)

        def after_val_epoch(self, runner, metrics=None):
            write("Last", "after_val_epoch", runner)

        def before_save_checkpoint(self, runner, checkpoint):
            write("Last", "before_save_checkpoint", runner)

    return [Last(), Generic(), Every()]


def loader(length, shuffle, engine):
    return {
        "dataset": Numbers(length),
        "batch_size": 3,
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "collate_fn": {"type": "default_collate"},
    }


def run(kind, engine, work_dir):
    """Train; the trace, the final weights and the learning rate of the last iteration."""
    hyper, trace = HYPER[kind], []
    torch.manual_seed(3)
    model = make_model(engine)
    runner = engine.Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader(11, True, engine),
        val_dataloader=loader(5, False, engine),
        train_cfg=hyper["train_cfg"],
        val_cfg={"type": "ValLoop"},
        val_evaluator=[make_metric(engine)],
        optim_wrapper={
            "type": "OptimWrapper",
            "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
            "clip_grad": {"max_norm": 1.0},
            "accumulative_counts": 2,
        },
        param_scheduler=[
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 4},
            {"type": "MultiStepLR", "milestones": [2], "by_epoch": True},
        ],
        default_hooks={
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": 2 if hyper["by_epoch"] else 5,
                "by_epoch": hyper["by_epoch"],
            }
        },
        custom_hooks=make_hooks(engine, trace),
        randomness={"seed": 5},
        log_level="ERROR",
        experiment_name=f"toy_{kind}",
    )
    runner.train()
    weights = {name: p.double().flatten().tolist() for name, p in model.state_dict().items()}
    return {"trace": trace, "weights": weights, "lr": runner.optim_wrapper.get_lr()["lr"]}

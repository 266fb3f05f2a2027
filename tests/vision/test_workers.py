"""Training with random augmentation gives the same weights however many workers there are."""

import pytest
import torch

from loopwright.data import build_dataloader
from loopwright.runner import Runner


def weights(folder, workers):
    model = [
        {"type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3},
        {"type": "ReLU"},
        {"type": "Flatten"},
        {"type": "Dropout", "p": 0.2},
        {"type": "Linear", "in_features": 4 * 36, "out_features": 10},
    ]
    data = {"type": "DigitsClassification", "augment": True, "labels_per_class": 6}
    runner = Runner.from_cfg(
        {
            "model": model,
            "loss": {"type": "CrossEntropyLoss"},
            "work_dir": str(folder / f"{workers}"),
            "train_dataloader": {
                "batch_size": 16,
                "num_workers": workers,
                "dataset": data,
                "sampler": {"type": "DefaultSampler", "shuffle": True},
                "collate_fn": {"type": "default_collate"},
            },
            "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 2},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
            "default_hooks": {"checkpoint": None},
            "randomness": {"seed": 3},
        }
    )
    runner.train()
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def test_the_weights_are_the_same_for_0_1_2_and_4_workers(tmp_path):
    alone = weights(tmp_path, 0)
    for workers in (1, 2, 4):
        other = weights(tmp_path, workers)
        assert all(torch.equal(alone[name], other[name]) for name in alone), workers


SETS = [
    {"type": "DigitScenes", "task": "detection", "count": 8, "augment": True},
    {"type": "DigitScenes", "task": "segmentation", "count": 8, "augment": True},
    {"type": "DigitsUnlabelled", "split": "val", "views": 2},
]


def batches(dataset, workers):
    loader = build_dataloader(
        {
            "batch_size": 4,
            "num_workers": workers,
            "dataset": dataset,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "pseudo_collate"},
        },
        seed=5,
    )
    return [leaf for _, batch in zip(range(2), loader) for leaf in leaves(batch)]


def leaves(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [
        leaf for v in (value.values() if isinstance(value, dict) else value) for leaf in leaves(v)
    ]


@pytest.mark.parametrize("dataset", SETS, ids=lambda d: d.get("task", d["type"]))
def test_augmented_batches_are_the_same_from_workers(dataset):
    here, there = batches(dataset, 0), batches(dataset, 2)
    assert len(here) >= 8
    assert all(map(torch.equal, here, there))

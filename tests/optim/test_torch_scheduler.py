"""Torch's own schedulers, stepped as often as they must be."""

import warnings

import pytest
import torch
from torch import nn

from loopwright.optim import OptimWrapper, build_param_scheduler


def wrapper(accumulate: int = 1) -> OptimWrapper:
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.9)
    return OptimWrapper(sgd, accumulative_counts=accumulate)


def train(wrapper: OptimWrapper, scheduler, iterations: int) -> list[float]:
    lrs = []
    for _ in range(iterations):
        wrapper.update_params(wrapper.param_groups[0]["params"][0].sum())
        scheduler.step()
        lrs.append(wrapper.param_groups[0]["lr"])
    return lrs


def test_one_cycle_counts_updates_and_not_batches():
    every, both = wrapper(1), wrapper(2)
    cfg = {"type": "OneCycleLR", "max_lr": 1.0, "total_steps": 10}
    one, two = (build_param_scheduler(cfg, w)[0] for w in (every, both))
    assert one.by_epoch is False
    assert train(every, one, 8) == train(both, two, 16)[1::2]


def test_a_dotted_path_means_torchs_class():
    cfg = {"type": "torch.optim.lr_scheduler.StepLR", "step_size": 1, "by_epoch": False}
    some = wrapper()
    (scheduler,) = build_param_scheduler(cfg, some)
    assert train(some, scheduler, 2) == pytest.approx([0.1, 0.01])


def test_a_name_that_both_know_means_ours():
    (scheduler,) = build_param_scheduler({"type": "StepLR", "step_size": 1}, wrapper())
    assert type(scheduler).__module__.startswith("loopwright")


def test_what_torch_leaves_open_must_be_said():
    with pytest.raises(ValueError, match="CosineAnnealingWarmRestarts does not say what it counts"):
        build_param_scheduler({"type": "CosineAnnealingWarmRestarts", "T_0": 2}, wrapper())


def test_one_cycle_per_epoch_is_refused():
    cfg = {"type": "OneCycleLR", "max_lr": 1.0, "total_steps": 10, "by_epoch": True}
    with pytest.raises(ValueError, match="counts updates of the weights"):
        build_param_scheduler(cfg, wrapper())


def test_reduce_on_plateau_needs_a_monitor_and_follows_it():
    with pytest.raises(ValueError, match="needs `monitor`"):
        build_param_scheduler({"type": "ReduceLROnPlateau"}, wrapper())
    some = wrapper()
    cfg = {"type": "ReduceLROnPlateau", "monitor": "acc", "mode": "max", "patience": 0}
    (scheduler,) = build_param_scheduler(cfg, some)
    assert scheduler.need_val_args
    scheduler.step()
    for accuracy in (0.5, 0.5):
        scheduler.step({"acc": accuracy})
    assert scheduler.get_last_value() == [0.1]
    with pytest.raises(KeyError, match="there are loss"):
        scheduler.step({"loss": 1.0})


def test_a_saved_scheduler_goes_on():
    cfg = {"type": "CyclicLR", "base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5}
    first, second = wrapper(), wrapper()
    (one,) = build_param_scheduler(cfg, first)
    whole = train(first, one, 6)
    (two,) = build_param_scheduler(cfg, second)
    train(second, two, 3)
    third = wrapper()
    (three,) = build_param_scheduler(cfg, third)
    three.load_state_dict(two.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert train(third, three, 3) == whole[3:]

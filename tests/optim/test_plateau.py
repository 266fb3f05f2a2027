"""Reducing on a plateau, by hand."""

import pytest
import torch
from torch import nn

from loopwright.optim import OptimWrapper, ReduceOnPlateauLR
from loopwright.optim.plateau import Rule, followed


def sgd(lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def test_bad_epochs_beyond_the_patience_reduce():
    optimizer = sgd()
    scheduler = ReduceOnPlateauLR(optimizer, patience=1, factor=0.5)
    lrs = []
    for loss in (1.0, 1.0, 1.0, 0.5, 0.6):
        scheduler.step()
        scheduler.step({"loss": loss})
        lrs.append(optimizer.param_groups[0]["lr"])
    assert lrs == [1.0, 1.0, 0.5, 0.5, 0.5]


def test_a_metric_that_is_nan_is_a_bad_epoch():
    rule = Rule("greater", patience=0)
    memory, reduce = rule.judge(rule.start(), float("nan"))
    assert reduce
    assert memory.best == float("-inf")


def test_an_absolute_threshold_asks_for_so_much_more():
    rule = Rule("greater", threshold=0.1, threshold_rule="abs")
    assert not rule.better(0.55, 0.5)
    assert rule.better(0.65, 0.5)


def test_no_epoch_is_bad_while_it_cools_down():
    rule = Rule("less", patience=0, cooldown=2)
    memory, reduced = rule.start(), []
    for _ in range(5):
        memory, reduce = rule.judge(memory, 1.0)
        reduced.append(reduce)
    assert reduced == [False, True, False, False, True]


def test_it_acts_only_between_begin_and_end():
    optimizer = sgd()
    scheduler = ReduceOnPlateauLR(optimizer, patience=0, factor=0.5, begin=2, end=4)
    for _ in range(6):
        scheduler.step()
        scheduler.step({"loss": 1.0})
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_a_change_smaller_than_eps_is_not_made():
    optimizer = sgd()
    scheduler = ReduceOnPlateauLR(optimizer, patience=0, factor=0.5, eps=0.6)
    for _ in range(3):
        scheduler.step({"loss": 1.0})
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_its_memory_is_saved():
    first = ReduceOnPlateauLR(sgd(), patience=3)
    for loss in (1.0, 2.0, 3.0):
        first.step({"loss": loss})
    second = ReduceOnPlateauLR(sgd(), patience=3)
    second.load_state_dict(first.state_dict())
    assert (second.best, second.num_bad_epochs) == (1.0, 2)


def test_a_metric_that_is_missing_is_named_with_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'val_loss'"):
        ReduceOnPlateauLR(sgd(), monitor="vall_loss").step({"val_loss": 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"by_epoch": False},
        {"rule": "max"},
        {"threshold_rule": "x"},
        {"threshold": -0.1},
        {"factor": 1.0},
        {"factor": -0.5},
        {"min_value": [0.1, 0.1]},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReduceOnPlateauLR(sgd(), **wrong)


def test_each_group_may_have_a_least_value_of_its_own():
    groups = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=1.0))
    with pytest.raises(ValueError, match="min_value has 3 values for 2 groups"):
        ReduceOnPlateauLR(wrapper, min_value=[0.1, 0.2, 0.3])
    scheduler = ReduceOnPlateauLR(wrapper, min_value=[0.1, 0.6], factor=0.5, patience=0)
    for _ in range(3):
        scheduler.step({"loss": 1.0})
    # The last is the wrapper's record of the defaults, which takes the last limit.
    assert [group["lr"] for group in wrapper.param_groups] == [0.25, 0.6, 0.6]


def test_the_last_part_of_a_metrics_name_is_enough_where_it_is_unique():
    assert followed({"accuracy/top1": 0.5, "loss": 1.0}, "top1", "ReduceOnPlateauLR") == 0.5
    with pytest.raises(KeyError, match="follows 'top1', which the validation did not give"):
        followed({"a/top1": 0.5, "b/top1": 0.6}, "top1", "ReduceOnPlateauLR")

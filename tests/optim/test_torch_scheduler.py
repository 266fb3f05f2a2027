"""Torch's own schedulers, stepped as often as they must be."""

import json
import re
import warnings

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from loopwright.optim import OptimWrapper, build_param_scheduler
from loopwright.plan.finding import Node
from loopwright.plan.optimization import check_schedules
from loopwright.registry import FUNCTIONS


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
    with pytest.raises(KeyError, match="there are: loss"):
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


SEQUENCE = {
    "type": "SequentialLR",
    "by_epoch": False,
    "milestones": [3],
    "schedulers": [
        {"type": "LinearLR", "start_factor": 0.1, "total_iters": 3},
        {"type": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 5},
    ],
}


def by_torch(make, iterations: int) -> list[float]:
    """The lrs of a scheduler that torch's own classes make."""
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler, lrs = make(sgd), []
    for _ in range(iterations):
        sgd.step()
        scheduler.step()
        lrs.append(sgd.param_groups[0]["lr"])
    return lrs


def test_a_sequence_of_torchs_schedulers_is_torchs_to_the_bit():
    some = wrapper()
    (scheduler,) = build_param_scheduler(SEQUENCE, some)
    parts = lambda sgd: [  # noqa: E731
        lr_scheduler.LinearLR(sgd, 0.1, total_iters=3), lr_scheduler.CosineAnnealingLR(sgd, 5)
    ]  # fmt: skip
    theirs = by_torch(lambda sgd: lr_scheduler.SequentialLR(sgd, parts(sgd), [3]), 8)
    assert train(some, scheduler, 8) == theirs


def test_a_chain_of_torchs_schedulers_is_torchs_to_the_bit():
    parts = [{"type": "ConstantLR", "factor": 0.5}, {"type": "ExponentialLR", "gamma": 0.9}]
    cfg = {"type": "ChainedScheduler", "by_epoch": False, "schedulers": parts}
    some = wrapper()
    (scheduler,) = build_param_scheduler(cfg, some)

    def chain(sgd: torch.optim.Optimizer) -> lr_scheduler.ChainedScheduler:
        constant = lr_scheduler.ConstantLR(sgd, 0.5)
        return lr_scheduler.ChainedScheduler([constant, lr_scheduler.ExponentialLR(sgd, 0.9)], sgd)

    assert train(some, scheduler, 8) == by_torch(chain, 8)


def test_a_sequence_that_holds_a_one_cycle_counts_updates():
    cycle = {"type": "OneCycleLR", "max_lr": 1.0, "total_steps": 10}
    cfg = {"type": "ChainedScheduler", "schedulers": [cycle]}
    both = wrapper(2)
    (scheduler,) = build_param_scheduler(cfg, both)
    (alone,) = build_param_scheduler(cycle, every := wrapper())
    assert train(both, scheduler, 10)[1::2] == train(every, alone, 5)
    with pytest.raises(ValueError, match="counts updates"):
        build_param_scheduler({**cfg, "by_epoch": True}, wrapper())


def test_a_saved_sequence_goes_on_in_the_middle_of_a_part():
    whole = train(first := wrapper(), build_param_scheduler(SEQUENCE, first)[0], 8)
    (two,) = build_param_scheduler(SEQUENCE, second := wrapper())
    train(second, two, 5)
    (three,) = build_param_scheduler(SEQUENCE, third := wrapper())
    three.load_state_dict(json.loads(json.dumps(two.state_dict())))
    third.optimizer.param_groups[0]["lr"] = whole[4]
    assert train(third, three, 3) == whole[5:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"milestones": [3, 4]}, "of 2 schedulers needs 1 milestones"),
        ({"schedulers": []}, "needs `schedulers`, a list"),
        ({"schedulers": [{"type": "LinearR"}], "milestones": []}, "did you mean 'LinearLR'"),
        (
            {"schedulers": [{"type": "LinearLR", "begin": 3}], "milestones": []},
            r"schedulers\[0\] has no `begin`: torch's schedulers begin where",
        ),
        (
            {"schedulers": [{"type": "LinearLR", "factor": 3}], "milestones": []},
            r"schedulers\[0\]: LinearLR has no option 'factor'",
        ),
        (
            {"schedulers": [{"type": "ReduceLROnPlateau"}], "milestones": []},
            "follows a metric, which SequentialLR does not hand on",
        ),
    ],
)
def test_what_a_sequence_cannot_hold_is_named_by_building_and_by_the_plan(change, message):
    cfg = {**SEQUENCE, **change}
    with pytest.raises((ValueError, TypeError), match=message):
        build_param_scheduler(cfg, wrapper())
    plan = check_schedules(Node({"param_scheduler": cfg}, ""), None, lambda registry, name: None)
    (found,) = [finding for finding in plan if finding.level == "error"]
    assert re.search(message, found.message)


def test_an_option_that_torch_does_not_take_names_the_nearest():
    with pytest.raises(TypeError, match="has no option 'T0'; did you mean 'T_0'"):
        build_param_scheduler(
            {"type": "CosineAnnealingWarmRestarts", "T0": 2, "by_epoch": True}, wrapper()
        )


def halved(count: int) -> float:
    return 0.5**count


def test_a_function_may_be_named():
    FUNCTIONS.register_module(name="halved_each_time", module=halved, force=True)
    some = wrapper()
    cfg = {"type": "LambdaLR", "lr_lambda": "halved_each_time", "by_epoch": False}
    (scheduler,) = build_param_scheduler(cfg, some)
    assert train(some, scheduler, 2) == [0.5, 0.25]


def test_a_changed_option_is_told_on_resume():
    (one,) = build_param_scheduler(SEQUENCE, wrapper())
    (two,) = build_param_scheduler({**SEQUENCE, "milestones": [4]}, wrapper())
    with pytest.warns(UserWarning, match=r"milestones was \[3\], is \[4\]; torch's own"):
        two.load_state_dict(one.state_dict())


def test_swas_own_scheduler_may_be_named():
    some = wrapper()
    cfg = {"type": "SWALR", "swa_lr": 0.5, "anneal_epochs": 1, "by_epoch": True}
    (scheduler,) = build_param_scheduler(cfg, some)
    assert train(some, scheduler, 1) == [0.5]


def test_a_window_that_delays_the_first_update_is_no_mistake_in_order(recwarn):
    some = wrapper(accumulate=2)
    train(some, build_param_scheduler(SEQUENCE, some)[0], 2)
    assert not [w for w in recwarn.list if "before `optimizer.step()`" in str(w.message)]

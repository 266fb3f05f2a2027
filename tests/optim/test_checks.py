"""What is found about a schedule before training, and the curves that need no torch."""

import subprocess
import sys

import pytest

from loopwright.optim.auto_scale import auto_scale, scale_lr
from loopwright.optim.checks import schedule_findings
from loopwright.optim.curves import curve
from loopwright.optim.specs import Run, read

EPOCHS = {"max_iters": 120, "max_epochs": 12, "epoch_length": 10}


def found(*entries: dict, **run) -> list[str]:
    return schedule_findings(list(entries), **{**EPOCHS, **run})


def test_a_schedule_that_fits_its_run_is_not_spoken_of():
    warmup = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 50}
    cosine = {"type": "CosineAnnealingLR", "begin": 5, "end": 12, "T_max": 7}
    assert found(warmup, cosine) == []
    assert found({"type": "MultiStepLR", "milestones": [8, 11]}) == []
    assert found({"type": "PolyLR", "convert_to_iter_based": True}) == []


def test_a_schedule_that_ends_after_the_run_names_both():
    (message,) = found({"type": "PolyLR", "end": 20})
    assert message == "PolyLR: ends at epoch 20, the run already at 12: it is cut off"


def test_a_schedule_that_ends_before_the_run_names_both():
    (message,) = found({"type": "PolyLR", "end": 9})
    assert "ends at iteration 90 of 120: lr stays where it is" in message


def test_a_warm_up_alone_may_end_before_the_run():
    assert found({"type": "LinearLR", "start_factor": 0.1, "end": 3}) == []


def test_a_warm_up_longer_than_the_run_is_cut_off():
    (message,) = found({"type": "LinearLR", "by_epoch": False, "end": 500})
    assert message == "LinearLR: ends at iteration 500, the run already at 120: it is cut off"


def test_milestones_beyond_the_run_never_come():
    assert found({"type": "MultiStepLR", "milestones": [8, 14]}) == [
        "MultiStepLR: milestone 14 never comes, the run ends at epoch 12"
    ]
    (message,) = found({"type": "MultiStepLR", "milestones": [8], "begin": 6})
    assert message == "MultiStepLR: milestone 8 (epoch 14) never comes, the run ends at epoch 12"


def test_milestones_that_count_from_begin_are_told():
    (message,) = found({"type": "MultiStepLR", "milestones": [3], "begin": 5})
    assert message == "MultiStepLR: milestones count from begin=5: 3 is epoch 8"


def test_a_cosine_that_rises_or_is_cut_is_told():
    (rises,) = found({"type": "CosineAnnealingLR", "T_max": 8})
    assert "T_max=8 is shorter than its range of 12 epochs: it rises" in rises
    (cut,) = found({"type": "CosineAnnealingLR", "T_max": 100})
    assert "T_max=100 is longer than its range of 12 epochs: it is cut" in cut


def test_a_schedule_of_epochs_in_a_run_of_iterations_never_moves():
    run = {"max_iters": 90, "max_epochs": 1, "epoch_length": 7}
    (message, *_) = found({"type": "CosineAnnealingLR"}, **run)
    assert (
        message == "CosineAnnealingLR: counts epochs, and this run is one epoch: it never moves lr"
    )


def test_a_schedule_that_begins_after_the_end_is_told():
    (message,) = found({"type": "PolyLR", "by_epoch": False, "begin": 5000})
    assert message == "PolyLR: begins at 5000, when the run has ended at 120"


def test_iterations_that_accumulate_are_told_with_both_numbers():
    (message,) = found({"type": "PolyLR", "by_epoch": False}, accumulation=4)
    assert (
        message == "PolyLR: counts 120 iterations; with accumulative_counts=4 these are 30 updates"
    )


def test_a_one_cycle_that_counts_batches_instead_of_updates_is_told():
    cfg = {"type": "OneCycleLR", "max_lr": 1.0, "total_steps": 120}
    assert found(cfg, accumulation=4) == [
        "OneCycleLR: total_steps=120, but the run makes 30 updates: it does not come down"
    ]
    assert found({"type": "OneCycleLR", "eta_max": 1.0, "total_steps": 9}) == [
        "OneCycleLR: total_steps=9, but it makes 12 steps"
    ]


def test_a_rate_that_acts_in_every_iteration_is_told():
    (message,) = found({"type": "ExponentialLR", "gamma": 0.5, "convert_to_iter_based": True})
    assert "an epoch of 10 multiplies by 0.00098" in message


def test_options_that_do_not_fit_are_told_and_not_raised():
    (message,) = found({"type": "CosineAnnealingLR", "T_mx": 3})
    assert message.startswith("CosineAnnealingLR: CosineAnnealingLR has no option 'T_mx'")


# -- curves ------------------------------------------------------------------------------------


def test_a_curve_has_a_value_for_every_iteration_and_group():
    cfg = [{"type": "LinearLR", "start_factor": 0.5, "by_epoch": False, "end": 3}]
    values = curve(cfg, [{"lr": 1.0}, {"lr": 0.1}], max_iters=4)
    assert values["lr"][0] == pytest.approx([0.5, 0.75, 1.0, 1.0])
    assert values["lr"][1] == pytest.approx([0.05, 0.075, 0.1, 0.1])


def test_schedules_of_epochs_step_after_each_epoch():
    cfg = {"type": "MultiStepLR", "milestones": [1], "gamma": 0.5}
    values = curve(cfg, [{"lr": 1.0}], max_iters=6, max_epochs=2, epoch_length=3, at=[2, 3])
    assert values == {"lr": [[1.0, 0.5]]}


def test_momentum_is_the_first_beta_where_there_are_betas():
    cfg = {"type": "ConstantMomentum", "factor": 0.5, "by_epoch": False, "end": 9}
    values = curve(cfg, [{"lr": 1.0, "betas": (0.8, 0.9)}], max_iters=1)
    assert values == {"lr": [[1.0]], "momentum": [[0.4]]}


def test_a_one_cycle_curve_has_its_own_base():
    cfg = {"type": "OneCycleLR", "eta_max": [1.0, 0.5], "by_epoch": False, "total_steps": 5}
    values = curve(cfg, [{"lr": 9.0}, {"lr": 9.0}], max_iters=1)
    assert values["lr"] == [[pytest.approx(0.04)], [pytest.approx(0.02)]]


def test_what_comes_after_a_one_cycle_counts_from_where_the_cycle_starts():
    cycle = {"type": "OneCycleLR", "eta_max": 1.0, "by_epoch": False, "total_steps": 2, "end": 2}
    restart = {"type": "CosineRestartLR", "periods": [9], "by_epoch": False, "begin": 2}
    values = curve([cycle, restart], [{"lr": 9.0}], max_iters=3)
    assert values["lr"][0][2] == pytest.approx(0.04)


def test_what_follows_a_metric_is_read_and_does_not_move():
    cfg = [{"type": "ReduceOnPlateauLR", "monitor": "acc"}]
    assert read(cfg, Run(10))[0].schedule is None
    assert curve(cfg, [{"lr": 1.0}], max_iters=2) == {"lr": [[1.0, 1.0]]}


def test_an_entry_that_no_group_has_is_named():
    cfg = {"type": "LinearParamScheduler", "param_name": "foo", "end": 5}
    with pytest.raises(KeyError, match="'foo', which no group has: lr"):
        curve(cfg, [{"lr": 1.0}], max_iters=2)


def test_curves_and_checks_need_no_torch():
    code = (
        "import sys, loopwright.optim as o\n"
        "from loopwright.optim import schedules, where\n"
        "o.curve({'type': 'StepLR', 'step_size': 1}, [{'lr': 1.0}], max_iters=2)\n"
        "o.schedule_findings({'type': 'StepLR', 'step_size': 1}, max_iters=2)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import loopwright.optim as package

    assert "LinearLR" in dir(package)
    with pytest.raises(AttributeError, match="has no attribute 'LinearLr'"):
        package.LinearLr  # noqa: B018


# -- scaling -----------------------------------------------------------------------------------


def wrapper(*lrs: float):
    import torch
    from torch import nn

    from loopwright.optim import OptimWrapper

    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return OptimWrapper(torch.optim.SGD(groups, lr=lrs[0]))


def test_two_hundredths_at_sixteen_are_a_quarter_of_a_hundredth_at_two():
    assert auto_scale(0.02, base_batch=16, real_batch=2) == 0.0025


def test_every_lr_is_scaled_and_the_sum_is_told():
    some = wrapper(0.02, 0.2)
    sums = scale_lr(some, {"enable": True, "base_batch_size": 16}, 2)
    assert some.get_lr() == {"lr": [0.0025, 0.025], "base_lr": [0.02]}
    assert sums == ["lr 0.02 x 2 / 16 = 0.0025", "lr 0.2 x 2 / 16 = 0.025"]


def test_nothing_is_scaled_unless_it_is_enabled():
    some = wrapper(0.02)
    assert scale_lr(some, None, 2) == []
    assert scale_lr(some, {"base_batch_size": 16}, 2) == []
    assert some.get_lr() == {"lr": [0.02]}


def test_a_scale_needs_a_batch_to_start_from():
    with pytest.raises(ValueError, match="base_batch_size"):
        scale_lr(wrapper(0.02), {"enable": True}, 2)
    with pytest.raises(ValueError, match="must be positive"):
        auto_scale(0.02, base_batch=0, real_batch=2)


def test_large_numbers_are_written_out():
    cfg = {"type": "MultiStepLR", "milestones": [1_600_000], "by_epoch": False}
    assert schedule_findings(cfg, max_iters=1_600_000) == [
        "MultiStepLR: milestone 1600000 never comes, the run ends at iteration 1600000"
    ]


def test_half_an_iteration_lost_to_rounding_is_not_spoken_of():
    cosine = {"type": "CosineAnnealingLR", "begin": 0.5, "T_max": 4.5, "end": 5}
    run = {"max_iters": 35, "max_epochs": 5, "epoch_length": 7}
    assert found({**cosine, "convert_to_iter_based": True}, **run) == []

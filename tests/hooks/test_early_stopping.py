"""When a run stops for want of improvement."""

import math

import pytest

from loopwright.hooks import EarlyStoppingHook, Hook


class Scripted(Hook):
    """Replaces what validation gave by numbers of the test, before anybody sees them."""

    priority = "HIGHEST"

    def __init__(self, values):
        self.values = list(values)

    def after_val_epoch(self, runner, metrics=None):
        metrics["aAcc"] = self.values.pop(0)


def stopped_after(run, values, **how):
    runner = run(
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": len(values)},
        custom_hooks=[Scripted(values), EarlyStoppingHook(monitor="aAcc", **how)],
    )
    return runner.epoch


def test_two_validations_without_improvement_exhaust_a_patience_of_two(run):
    assert stopped_after(run, [0.1, 0.5, 0.55, 0.59, 0.9], patience=2) == 4


def test_an_improvement_of_less_than_min_delta_is_none(run):
    assert stopped_after(run, [0.1, 0.15, 0.3, 0.3], patience=2, min_delta=0.04) == 4


def test_an_improvement_starts_the_count_again(run):
    assert stopped_after(run, [0.1, 0.1, 0.5, 0.5, 0.5], patience=2, min_delta=0.1) == 5


def test_a_smaller_value_is_better_when_the_rule_says_so(run):
    assert stopped_after(run, [0.9, 0.5, 0.6, 0.6, 0.1], patience=2, rule="less") == 4


def test_the_threshold_stops_as_soon_as_it_is_reached(run):
    assert stopped_after(run, [0.1, 0.8, 0.9], stopping_threshold=0.8) == 2


def test_a_nan_stops_at_once(run):
    assert stopped_after(run, [0.5, math.nan, 0.6]) == 2


def test_a_run_that_stops_early_leaves_a_checkpoint(run):
    checkpoint = {"type": "CheckpointHook", "interval": 100}
    runner = run(
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 9},
        default_hooks={"checkpoint": checkpoint},
        custom_hooks=[Scripted([0.5] * 9), EarlyStoppingHook("aAcc", patience=2)],
    )
    assert runner.store.names() == ["epoch_3"]


def test_an_unknown_metric_is_an_error_when_strict(run):
    with pytest.raises(KeyError, match="watches 'mIoU', validation gave aAcc"):
        run(custom_hooks=[EarlyStoppingHook("mIoU", strict=True)])


def test_its_memory_survives_a_resume(run):
    hooks = [Scripted([0.5, 0.5]), EarlyStoppingHook("aAcc", patience=4)]
    run(custom_hooks=hooks)
    again = [Scripted([0.5] * 9), EarlyStoppingHook("aAcc", patience=4)]
    runner = run(
        custom_hooks=again,
        resume=True,
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 9},
    )
    assert runner.epoch == 5


def test_a_rule_that_is_neither_is_refused():
    with pytest.raises(ValueError, match="'greater' or 'less', got 'up'"):
        EarlyStoppingHook("aAcc", rule="up")

"""EMAHook through a run: the average by hand, who sees it, what is saved."""

import pytest
import torch

from loopwright.checkpoint import load_any
from loopwright.hooks import Hook

QUIET = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}
KEY = "decode_head.bias"


class Follow(Hook):
    """Remembers a weight after each update, and what validation sees."""

    priority = "HIGHEST"

    def __init__(self):
        self.trained, self.validated = [], []

    def before_train(self, runner):
        self.trained.append(runner.model.decode_head.bias.detach().clone())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained.append(runner.model.decode_head.bias.detach().clone())

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.validated.append(runner.model.decode_head.bias.detach().clone())


def by_hand(weights, momentum, copies=1):
    """The first update copies; each later one moves by its momentum towards the weight."""
    average = weights[copies]
    for step, weight in enumerate(weights[copies + 1 :], start=1):
        average = average + momentum(step) * (weight - average)
    return average


KINDS = {
    "ExponentialMovingAverage": ({"momentum": 0.25}, lambda step: 0.25),
    "StochasticWeightAverage": ({}, lambda step: 1 / (step + 1)),
    "MomentumAnnealingEMA": (
        {"momentum": 0.01, "gamma": 4},
        lambda step: max(0.01, 4 / (4 + step)),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_average_is_the_one_by_hand(run, kind):
    arguments, momentum = KINDS[kind]
    follow = Follow()
    hook = {"type": "EMAHook", "ema_type": kind, **arguments}
    runner = run(custom_hooks=[follow, hook], **QUIET)
    ema = next(h for h in runner.hooks if type(h).__name__ == "EMAHook")
    expected = by_hand(follow.trained, momentum)
    assert torch.allclose(ema.ema_model.module.state_dict()[KEY], expected, atol=1e-6)


def test_validation_sees_the_average_and_training_goes_on_with_its_own_weights(run, tmp_path):
    follow, alone = Follow(), Follow()
    run(custom_hooks=[follow, {"type": "EMAHook", "momentum": 0.25}])
    run(custom_hooks=[alone], work_dir=str(tmp_path / "alone"))
    assert torch.allclose(follow.validated[-1], by_hand(follow.trained, lambda s: 0.25), atol=1e-6)
    assert all(map(torch.equal, follow.trained, alone.trained))


def test_a_checkpoint_holds_the_average_as_weights_and_the_raw_ones_beside(run):
    follow = Follow()
    runner = run(custom_hooks=[follow, {"type": "EMAHook", "momentum": 0.25}], **QUIET)
    state = load_any(f"{runner.work_dir}/{runner.store.names()[-1]}")
    assert torch.equal(state["ema_state_dict"][KEY], follow.trained[-1])
    expected = by_hand(follow.trained, lambda step: 0.25)
    assert torch.allclose(state["state_dict"][KEY], expected, atol=1e-6)


def test_a_resumed_average_goes_on_as_if_nothing_had_happened(run, tmp_path):
    hooks = [{"type": "EMAHook", "momentum": 0.25}]
    long = {"type": "EpochBasedTrainLoop", "max_epochs": 4}
    whole = run(custom_hooks=hooks, train_cfg=long, work_dir=str(tmp_path / "whole"))
    run(custom_hooks=hooks)
    rest = run(custom_hooks=hooks, train_cfg=long, resume=True)
    ends = [load_any(f"{r.work_dir}/epoch_4")["state_dict"][KEY].clone() for r in (whole, rest)]
    assert torch.equal(*ends)


def test_before_begin_epoch_validation_sees_the_model_itself(run):
    follow = Follow()
    run(custom_hooks=[follow, {"type": "EMAHook", "momentum": 0.25, "begin_epoch": 5}])
    assert torch.equal(follow.validated[-1], follow.trained[-1])


def test_two_beginnings_are_refused(make):
    with pytest.raises(Exception, match="at most one of begin_iter and begin_epoch"):
        make(custom_hooks=[{"type": "EMAHook", "begin_iter": 1, "begin_epoch": 1}])


@pytest.mark.parametrize("begin", ["begin_iter", "begin_epoch"])
def test_averaging_begins_with_the_iteration_or_epoch_of_that_number_counted_from_one(run, begin):
    follow, seen = Follow(), []

    class Look(Hook):
        priority = "LOWEST"

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            average = next(h for h in runner.hooks if type(h).__name__ == "EMAHook").ema_model
            seen.append((runner.iter, runner.epoch, average.steps))

    run(custom_hooks=[follow, {"type": "EMAHook", begin: 2}, Look()], **QUIET)
    count = 0 if begin == "begin_iter" else 1
    first = next(entry for entry in seen if entry[2] == 1)
    assert first[count] == 1, "0-based: the second"
    assert all(entry[2] == 0 for entry in seen if entry[count] < 1)

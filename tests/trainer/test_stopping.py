"""Signals: a checkpoint at the end of the iteration, the right exit, and a run that goes on."""

import signal

import pytest
import torch
from trainer_models import TwoLosses, batches, sgd

from loopwright.log import JSONWriter
from loopwright.optim import OptimWrapper
from loopwright.optim.where import CosineParamScheduler
from loopwright.trainer import (
    CallbackHook,
    Checkpointer,
    EvalHook,
    HookBase,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    SimpleTrainer,
)

ITERATIONS = 40


class Signal(HookBase):
    """Sends this process a signal in the middle of an iteration."""

    def __init__(self, number, at):
        self.number, self.at = number, at

    def after_backward(self):
        if self.trainer.iter == self.at:
            signal.raise_signal(self.number)


def trainer_in(folder, *hooks, accumulate=1):
    model = TwoLosses()
    wrapper = OptimWrapper(sgd(model), accumulative_counts=accumulate)
    trainer = SimpleTrainer(model, batches(), wrapper, seed=0)
    trainer.saver = Checkpointer(model, str(folder), trainer=trainer)
    trainer.register_hooks(
        [
            *hooks,
            LRScheduler(scheduler=CosineParamScheduler(1.0, 0.0)),
            PeriodicCheckpointer(trainer.saver, 15, max_to_keep=2),
            EvalHook(10, lambda: {"AP": float(trainer.iter)}),
            PeriodicWriter([JSONWriter(folder / "metrics.json")], period=6),
        ]
    )
    return trainer


def resumed(folder, **how):
    trainer = trainer_in(folder, **how)
    start = trainer.saver.resume_or_load("", resume=True).get("iteration", -1) + 1
    trainer.train(start, ITERATIONS)
    return trainer, start


def same(first, second):
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def straight(tmp_path):
    trainer = trainer_in(tmp_path / "straight")
    trainer.train(0, ITERATIONS)
    return trainer, (tmp_path / "straight" / "metrics.json").read_text()


@pytest.mark.parametrize(
    ("number", "at"), [(signal.SIGTERM, 12), (signal.SIGTERM, 0), (signal.SIGTERM, 29)]
)
def test_a_terminated_run_saves_exits_with_75_and_goes_on_as_if_nothing_was(
    tmp_path, straight, number, at
):
    stopped = trainer_in(tmp_path, Signal(number, at))
    with pytest.raises(SystemExit) as end:
        stopped.train(0, ITERATIONS)
    assert end.value.code == 75
    assert stopped.iter == at + 1, "the iteration was finished"
    assert (tmp_path / "last_checkpoint").read_text() == f"model_{at:07d}.pth"
    again, start = resumed(tmp_path)
    assert start == at + 1
    assert same(again, straight[0])
    assert (tmp_path / "metrics.json").read_text() == straight[1]


def test_an_interrupted_run_saves_and_raises_keyboard_interrupt(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="at iteration 8, checkpoint written"):
        trainer_in(tmp_path, Signal(signal.SIGINT, 7)).train(0, ITERATIONS)
    assert (tmp_path / "model_0000007.pth").exists()


def test_the_checkpoint_of_a_signal_is_one_of_those_that_are_kept_or_go(tmp_path):
    with pytest.raises(SystemExit):
        trainer_in(tmp_path, Signal(signal.SIGTERM, 16)).train(0, ITERATIONS)
    resumed(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("model_*.pth")) == [
        "model_0000016.pth",
        "model_0000029.pth",
        "model_final.pth",
    ]


def test_sigusr1_saves_and_training_goes_on(tmp_path):
    trainer = trainer_in(tmp_path, Signal(signal.SIGUSR1, 4))
    seen = []
    trainer.register_hooks([CallbackHook(before_step=lambda t: seen.append(there(tmp_path)))])
    trainer.train(0, ITERATIONS)
    assert seen[4] == []
    assert seen[5] == ["model_0000004.pth"]
    assert trainer.iter == ITERATIONS


def there(folder):
    return [path.name for path in folder.glob("model_*.pth")]


def test_without_a_checkpointer_a_trainer_still_ends_in_order_and_says_that_nothing_is_saved():
    model, ended = TwoLosses(), []
    trainer = SimpleTrainer(model, batches(), sgd(model))
    end = CallbackHook(after_train=lambda t: ended.append(t.iter))
    trainer.register_hooks([Signal(signal.SIGTERM, 3), end])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        trainer.train(0, ITERATIONS)
    assert exit_.value.code == 143
    assert ended == [4]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_halt_waits_for_the_end_of_an_accumulation_window(tmp_path):
    whole = trainer_in(tmp_path / "whole", accumulate=4)
    whole.train(0, ITERATIONS)
    stopped = trainer_in(tmp_path / "parts", Signal(signal.SIGTERM, 9), accumulate=4)
    with pytest.raises(SystemExit):
        stopped.train(0, ITERATIONS)
    assert stopped.iter == 12, "no checkpoint holds gradients in flight"
    again, _ = resumed(tmp_path / "parts", accumulate=4)
    assert same(whole, again)


def test_an_early_end_is_not_remembered_by_the_next_training():
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    stop = CallbackHook(after_step=lambda t: t.iter == 4 and t.requests.stop("enough"))
    trainer.register_hooks([stop])
    trainer.train(0, 20)
    assert trainer.iter == 5
    trainer.train(5, 20)
    assert trainer.iter == 20


def test_a_state_taken_when_training_ended_early_is_that_of_the_last_iteration_done():
    model, found = TwoLosses(), []
    trainer = SimpleTrainer(model, batches(), sgd(model))

    def note(t):
        found.append(t.state_dict()["iteration"])

    stop = CallbackHook(after_step=lambda t: t.iter == 4 and t.requests.stop("enough"))
    trainer.register_hooks([stop, CallbackHook(after_step=note, after_train=note)])
    trainer.train(0, 20)
    assert found == [0, 1, 2, 3, 4, 4]

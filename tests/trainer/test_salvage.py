"""After an error: what is whole is saved and gone on from; what is broken never is."""

import logging

import pytest
import torch
from torch import nn
from trainer_models import Spoils, TwoLosses, batches, sgd

from loopwright.log import JSONWriter
from loopwright.optim import OptimWrapper
from loopwright.optim.where import CosineParamScheduler
from loopwright.trainer import (
    CallbackHook,
    Checkpointer,
    EvalHook,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    SimpleTrainer,
)

ITERATIONS, AT = 20, 9


class Broken(Exception):
    """What the tests raise."""


def fails_at(point):
    def fail(trainer):
        if trainer.iter == AT:
            raise Broken(point)

    return CallbackHook(**{point: fail})


class FailsInForward(TwoLosses):
    """Its tenth call fails."""

    calls = 0

    def forward(self, batch):
        self.calls += 1
        if self.calls == AT + 1:
            raise Broken("forward")
        return super().forward(batch)


class FailsToRead:
    """A loader whose tenth batch cannot be read."""

    def __iter__(self):
        yield from (batches() * 2)[:AT]
        raise Broken("loader")


class FailsBehindTheStep(SimpleTrainer):
    """A step of the user's own."""

    def run_step(self):
        found = super().run_step()
        if self.iter == AT:
            raise Broken("run_step")
        return found


class FailsBehindItsOwnStep(SimpleTrainer):
    """A step by the bare optimizer, which tells nobody."""

    def run_step(self):
        self.optimizer.zero_grad()
        sum(self.model(next(self._data_loader_iter)).values()).backward()
        self.optimizer.step()
        if self.iter == AT:
            raise Broken("run_step")


def made(folder, *, front=(), behind=(), model=None, loader=None, kind=SimpleTrainer, every=1):
    """A trainer with hooks in front of the one that saves, and behind it."""
    model = model or TwoLosses()
    wrapper = OptimWrapper(sgd(model), accumulative_counts=every)
    trainer = kind(model, loader or batches(), wrapper, seed=0)
    trainer.saver = Checkpointer(model, str(folder), trainer=trainer)
    trainer.register_hooks(
        [
            *front,
            LRScheduler(scheduler=CosineParamScheduler(1.0, 0.0)),
            PeriodicCheckpointer(trainer.saver, 15, max_to_keep=2),
            *behind,
            EvalHook(5, lambda: {"AP": float(trainer.storage.iter)}),
            PeriodicWriter([JSONWriter(folder / "metrics.json")], period=6),
        ]
    )
    return trainer


def fail(folder, **how):
    with pytest.raises(Broken) as caught:
        made(folder, **how).train(0, ITERATIONS)
    return caught.value


def resume(folder, **how):
    trainer = made(folder, **how)
    start = trainer.saver.resume_or_load("", resume=True).get("iteration", -1) + 1
    trainer.train(start, ITERATIONS)
    return trainer, start


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


def saved(folder):
    return sorted(path.name for path in folder.glob("*.pth"))


def said(caplog):
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture
def straight(tmp_path):
    trainer = made(tmp_path / "straight")
    trainer.train(0, ITERATIONS)
    return weights(trainer), (tmp_path / "straight" / "metrics.json").read_text()


@pytest.mark.parametrize(
    "how",
    [
        {"front": [fails_at("before_step")]},
        {"front": [fails_at("after_backward")]},
        {"model": FailsInForward()},
        {"loader": FailsToRead()},
    ],
    ids=["before_step", "after_backward", "forward", "loader"],
)
def test_the_state_before_the_iteration_that_failed_is_saved_and_gone_on_from(
    tmp_path, straight, how
):
    fail(tmp_path, **how)
    assert saved(tmp_path) == [f"model_{AT - 1:07d}.pth"]
    again, start = resume(tmp_path)
    assert start == AT
    assert torch.equal(weights(again), straight[0])
    assert (tmp_path / "metrics.json").read_text() == straight[1]


class Measuring(TwoLosses):
    """Batch norm takes the batch into its statistics before the forward fails."""

    def __init__(self):
        super().__init__()
        self.norm, self.calls = nn.BatchNorm1d(4), 0

    def forward(self, batch):
        self.calls += 1
        losses = super().forward(self.norm(batch))
        if self.calls == AT + 1:
            raise Broken("behind the norm")
        return losses


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"model": Measuring()}, True),
        ({"model": FailsInForward()}, False),
        ({"model": Measuring(), "loader": FailsToRead()}, False),
    ],
    ids=["measured", "nothing_measures", "not_read"],
)
def test_statistics_that_saw_the_failed_batch_are_told(tmp_path, caplog, how, told):
    fail(tmp_path, **how)
    assert ("in the statistics of 'norm': a resume adds it again" in said(caplog)) is told


def test_a_failing_evaluation_leaves_the_iteration_before_it_and_is_made_up_for(tmp_path, straight):
    fail(tmp_path, behind=[fails_at("after_step")])
    assert saved(tmp_path) == [f"model_{AT:07d}.pth"], "the one that saves stands in front of it"
    again, start = resume(tmp_path)
    assert start == AT + 1
    assert torch.equal(weights(again), straight[0])
    assert (tmp_path / "metrics.json").read_text() == straight[1]


@pytest.mark.parametrize(
    "how",
    [
        {"front": [fails_at("after_step")]},
        {"kind": FailsBehindTheStep},
        {"kind": FailsBehindItsOwnStep},
    ],
    ids=["hook", "run_step", "own_step"],
)
def test_half_an_iteration_is_never_saved(tmp_path, caplog, how):
    """The weights have learned from the batch; the schedule has not moved."""
    fail(tmp_path, **how)
    assert saved(tmp_path) == []
    assert "the state is not whole after this error" in said(caplog)


def test_gradients_in_flight_are_in_no_checkpoint(tmp_path, caplog):
    fail(tmp_path, front=[fails_at("before_step")], every=4)
    assert saved(tmp_path) == []
    assert "the state is not whole after this error" in said(caplog)


def test_where_nothing_was_learned_nothing_is_saved(tmp_path, caplog):
    def fail_early(trainer):
        raise Broken

    fail(tmp_path, front=[CallbackHook(before_train=fail_early)])
    fail(tmp_path, front=[CallbackHook(before_step=fail_early)])
    assert saved(tmp_path) == []
    assert "not whole" not in said(caplog)


def test_what_was_saved_in_the_iteration_that_failed_is_not_saved_again(tmp_path):
    def evaluate(trainer):
        if trainer.iter == 14:
            raise Broken("evaluation")

    fail(tmp_path, behind=[CallbackHook(after_step=evaluate)])
    assert saved(tmp_path) == ["model_0000014.pth"]


def test_after_a_loss_of_nan_the_state_is_kept_for_a_look_and_an_earlier_one_resumed(tmp_path):
    with pytest.raises(FloatingPointError):
        made(tmp_path, model=Spoils(18)).train(0, ITERATIONS)
    assert saved(tmp_path) == ["model_0000014.pth", "model_crash_0000017.pth"]
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000014.pth"
    assert torch.load(tmp_path / "model_crash_0000017.pth", weights_only=True)["iteration"] == 17
    assert resume(tmp_path)[1] == 15


def test_a_save_that_fails_hides_neither_the_error_nor_the_end_of_the_hooks(tmp_path):
    ended = []

    class Full(Checkpointer):
        def save(self, name, **how):
            raise OSError("no space left")

    trainer = made(tmp_path, front=[CallbackHook(after_train=lambda t: ended.append(t.iter))])
    trainer.register_hooks([fails_at("before_step")])
    trainer.checkpointer = Full(trainer.model, str(tmp_path), trainer=trainer)
    with pytest.raises(Broken) as caught:
        trainer.train(0, ITERATIONS)
    assert "saving after this error failed too: OSError('no space left')" in caught.value.__notes__
    assert ended == [AT]


def test_weights_with_nan_are_never_the_last_checkpoint_and_nothing_goes_for_them(tmp_path, caplog):
    model = TwoLosses()
    saver = Checkpointer(model, str(tmp_path))
    saver.save("model_0000004", iteration=4)
    nn.init.constant_(model.fc.bias, float("nan"))
    with caplog.at_level(logging.ERROR):
        saver.save("model_0000009", iteration=9)
    assert "model_0000009 holds NaN or infinity (model.fc.bias): not resumed from" in said(caplog)
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000004.pth"
    assert saver.get_checkpoint_file() == str(tmp_path / "model_0000004.pth")
    periodic = PeriodicCheckpointer(saver, 5, max_to_keep=1)
    periodic.step(14)
    assert "model_0000004.pth" in saved(tmp_path)


def test_a_buffer_may_mean_its_infinity(tmp_path):
    model = TwoLosses()
    model.register_buffer("mask", torch.full((2, 2), float("-inf")).triu(1))
    saver = Checkpointer(model, str(tmp_path))
    saver.save("model_0000004", iteration=4)
    assert saver.has_checkpoint()


def test_a_run_begun_anew_in_a_used_folder_is_the_one_that_is_resumed(tmp_path):
    """Its checkpoints are the newer ones, however far the earlier run had come."""
    made(tmp_path).train(0, ITERATIONS)
    fail(tmp_path, front=[fails_at("before_step")])
    assert resume(tmp_path)[1] == AT


def test_max_to_keep_keeps_what_was_written_last(tmp_path):
    model = TwoLosses()
    saver = PeriodicCheckpointer(Checkpointer(model, str(tmp_path)), 5, max_to_keep=1)
    saver.step(94)
    saver.step(4)
    assert "model_0000004.pth" in saved(tmp_path)

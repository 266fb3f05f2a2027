"""Checkpoints of a trainer: names, what is kept, what is resumed."""

import json
import logging
import os

import pytest
import torch
from torch import nn
from trainer_models import TwoLosses, batches, sgd

from loopwright.checkpoint import WeightsError
from loopwright.log import JSONWriter
from loopwright.optim.where import CosineParamScheduler
from loopwright.trainer import (
    BestCheckpointer,
    CallbackHook,
    Checkpointer,
    EvalHook,
    IterationTimer,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    SimpleTrainer,
)


def names(folder):
    return sorted(n for n in os.listdir(folder) if n.endswith(".pth"))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def last(folder):
    return (folder / "last_checkpoint").read_text()


def trainer_in(folder, *hooks, period=5, keep=None):
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    saver = Checkpointer(model, str(folder), trainer=trainer)
    trainer.register_hooks([PeriodicCheckpointer(saver, period, max_to_keep=keep)])
    trainer.register_hooks([hook(saver) if callable(hook) else hook for hook in hooks])
    trainer.checkpointer = saver
    return trainer


def test_checkpoints_are_named_by_the_iteration_just_finished(tmp_path):
    trainer_in(tmp_path).train(0, 10)
    assert names(tmp_path) == ["model_0000004.pth", "model_0000009.pth", "model_final.pth"]
    assert last(tmp_path) == "model_final.pth"


def test_a_checkpoint_is_a_plain_torch_file(tmp_path):
    trainer_in(tmp_path).train(0, 10)
    state = torch.load(tmp_path / "model_0000009.pth", weights_only=True)
    assert state["iteration"] == state["trainer"]["iteration"] == 9
    assert set(state["model"]) == {"fc.weight", "fc.bias"}


def test_old_ones_go_also_after_a_resume(tmp_path):
    trainer_in(tmp_path, keep=2).train(0, 10)
    again = trainer_in(tmp_path, keep=2)
    again.checkpointer.resume_or_load("", resume=True)
    again.train(again.iter + 1, 25)
    assert names(tmp_path) == ["model_0000019.pth", "model_0000024.pth", "model_final.pth"]


def scores(values):
    return EvalHook(5, iter([{"AP": value} for value in values]).__next__)


def best(saver):
    return BestCheckpointer(5, saver, "AP")


def test_the_best_is_kept_and_last_checkpoint_stays_with_the_newest(tmp_path):
    trainer_in(tmp_path, scores([3.0, 1.0, 2.0]), best).train(0, 15)
    found = torch.load(tmp_path / "model_best.pth", weights_only=True)
    assert found["iteration"] == 4
    assert last(tmp_path) == "model_final.pth"


def test_a_resume_after_the_best_goes_on_from_the_newest(tmp_path):
    first = trainer_in(tmp_path, scores([3.0, 1.0]), best)
    first.register_hooks([CallbackHook(after_step=lambda t: t.iter == 11 and t.requests.stop("x"))])
    first.train(0, 100)
    again = trainer_in(tmp_path)
    again.checkpointer.resume_or_load("", resume=True)
    assert again.iter == 9


def test_the_best_alone_is_not_resumed_from(tmp_path):
    model = TwoLosses()
    saver = Checkpointer(model, str(tmp_path))
    saver.save("model_best", tag=False, iteration=4)
    assert not saver.has_checkpoint()
    assert not (tmp_path / "last_checkpoint").exists()


def test_the_best_value_is_remembered_across_a_resume(tmp_path):
    trainer_in(tmp_path, scores([3.0, 1.0, 1.0]), best).train(0, 15)
    before = (tmp_path / "model_best.pth").read_bytes()
    again = trainer_in(tmp_path, scores([2.9, 2.0, 2.5, 1.0]), best)
    again.checkpointer.resume_or_load("", resume=True)
    again.train(again.iter + 1, 30)
    assert (tmp_path / "model_best.pth").read_bytes() == before


def test_a_better_one_replaces_the_best(tmp_path):
    trainer_in(tmp_path, scores([3.0, 4.0, 1.0]), best).train(0, 15)
    assert torch.load(tmp_path / "model_best.pth", weights_only=True)["iteration"] == 9


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_never_the_best(tmp_path, bad):
    trainer_in(tmp_path, scores([1.0, bad, 0.5]), best).train(0, 15)
    assert torch.load(tmp_path / "model_best.pth", weights_only=True)["iteration"] == 4


def test_a_metric_that_nobody_puts_is_named_with_the_nearest(tmp_path, caplog):
    trainer_in(tmp_path, scores([1.0, 1.0]), lambda s: BestCheckpointer(5, s, "APP")).train(0, 10)
    assert "no metric 'APP'" in caplog.text
    assert "did you mean 'AP'" in caplog.text


def test_compiled_and_plain_checkpoints_interchange(tmp_path):
    plain, wrapped = TwoLosses(), torch.compile(TwoLosses(), backend="eager")
    with torch.no_grad():
        plain.fc.weight.fill_(3.0)
    Checkpointer(plain, str(tmp_path)).save("a", iteration=0)
    Checkpointer(wrapped, str(tmp_path)).load(str(tmp_path / "a.pth"), strict=True)
    assert (wrapped.fc.weight == 3.0).all()
    with torch.no_grad():
        wrapped.fc.weight.fill_(5.0)
    Checkpointer(wrapped, str(tmp_path)).save("b", iteration=0)
    Checkpointer(plain, str(tmp_path)).load(str(tmp_path / "b.pth"), strict=True)
    assert (plain.fc.weight == 5.0).all()


def test_names_with_the_prefix_of_a_compiled_model_load(tmp_path):
    weights = {f"_orig_mod.{k}": v + 1 for k, v in TwoLosses().state_dict().items()}
    torch.save({"model": weights}, tmp_path / "old.pth")
    model = TwoLosses()
    Checkpointer(model).load(str(tmp_path / "old.pth"))
    assert torch.equal(model.fc.bias, weights["_orig_mod.fc.bias"])


def test_a_file_of_which_nothing_fits_is_an_error(tmp_path):
    torch.save({"model": nn.Conv2d(1, 1, 1).state_dict()}, tmp_path / "other.pth")
    with pytest.raises(WeightsError):
        Checkpointer(TwoLosses()).load(str(tmp_path / "other.pth"))


def test_weights_are_loaded_alone_without_resume(tmp_path):
    trainer_in(tmp_path).train(0, 5)
    fresh = trainer_in(tmp_path / "new")
    rest = fresh.checkpointer.resume_or_load(str(tmp_path / "model_final.pth"), resume=True)
    assert rest["iteration"] == 4
    assert fresh.iter == 0


def test_a_key_is_given_once():
    saver = Checkpointer(TwoLosses(), a=1)
    with pytest.raises(KeyError, match="taken"):
        saver.add_checkpointable("a", 2)


def full_trainer(folder, stop_at=None):
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model), seed=1)
    saver = Checkpointer(model, str(folder), trainer=trainer)

    def stop(trainer):
        if trainer.iter == stop_at:
            raise KeyboardInterrupt

    trainer.register_hooks(
        [
            IterationTimer(),
            LRScheduler(scheduler=CosineParamScheduler(1, 0)),
            PeriodicCheckpointer(saver, 10),
            EvalHook(10, lambda: {"size": model.fc.weight.abs().sum().item()}),
            PeriodicWriter([JSONWriter(folder / "metrics.json")], period=5),
            CallbackHook(after_step=lambda t: t.storage.put_scalar("late", t.iter % 3)),
            CallbackHook(before_step=stop),
        ]
    )
    return trainer, saver


@pytest.mark.parametrize("stop_at", [13, 20, 28])
def test_a_killed_and_resumed_run_equals_the_uninterrupted_one(tmp_path, stop_at):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    full_trainer(whole)[0].train(0, 30)
    with pytest.raises(KeyboardInterrupt):
        full_trainer(parts, stop_at)[0].train(0, 30)
    trainer, saver = full_trainer(parts)
    saver.resume_or_load("", resume=True)
    trainer.train(trainer.iter + 1, 30)
    states = [torch.load(f / "model_final.pth", weights_only=True) for f in (whole, parts)]
    assert torch.equal(states[0]["model"]["fc.weight"], states[1]["model"]["fc.weight"])
    told = [lines(f / "metrics.json") for f in (whole, parts)]
    assert told[1] == told[0]


def test_all_checkpoints_are_listed_by_path(tmp_path):
    saver = Checkpointer(TwoLosses(), str(tmp_path))
    for name in ("a", "b"):
        saver.save(name)
    found = saver.get_all_checkpoint_files()
    assert sorted(found) == [str(tmp_path / "a.pth"), str(tmp_path / "b.pth")]


def test_a_run_begun_anew_is_told_of_the_one_before_it(tmp_path, caplog):
    trainer_in(tmp_path).train(0, 5)
    with caplog.at_level(logging.INFO):
        trainer_in(tmp_path).checkpointer.resume_or_load("", resume=False)
    assert f"{tmp_path}/model_final.pth is of an earlier run: resume=True" in caplog.text

"""Validation as users ask for it: the loss by one key, several sets, each when it is due."""

import json

import pytest
import torch

from loopwright.config import Config, ConfigError
from loopwright.hooks import EarlyStoppingHook, Hook
from loopwright.plan import check


def loader(length):
    return {
        "batch_size": 4,
        "dataset": {"type": "ToyMasks", "length": length},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
    }


TWO = {"city": loader(8), "night": loader(4)}


def val_lines(runner):
    with open(f"{runner.work_dir}/metrics.jsonl", encoding="utf-8") as file:
        return [e for e in map(json.loads, file) if e["tag"] == "val"]


def loss_by_hand(runner):
    """The mean over all samples of the cross entropy of the model as it is now."""
    dataset = runner.val_dataloader.dataset
    items = [dataset[i] for i in range(len(dataset))]
    runner.model.eval()
    with torch.no_grad():
        each = [
            runner.model(i["inputs"][None], i["data_samples"][None], mode="loss")["loss_seg"].item()
            for i in items
        ]
    return sum(each) / len(each)


def test_the_validation_loss_is_the_mean_over_samples(run):
    runner = run(val_dataloader=loader(10), val_cfg={"type": "ValLoop", "loss": True})
    entry = val_lines(runner)[-1]
    assert entry["loss"] == pytest.approx(loss_by_hand(runner), rel=1e-5)
    assert entry["loss_seg"] == entry["loss"]
    assert "aAcc" in entry


def test_a_run_may_validate_its_loss_alone(run):
    best = {"type": "CheckpointHook", "save_best": "loss"}
    cfg = {"type": "ValLoop", "loss": True}
    runner = run(val_evaluator=None, val_cfg=cfg, default_hooks={"checkpoint": best})
    assert any(name.startswith("best_loss_epoch_") for name in runner.store.names())


def test_a_validation_without_evaluator_and_loss_is_incomplete(make):
    with pytest.raises(ConfigError, match="val_evaluator is not"):
        make(val_evaluator=None)


def test_validating_the_loss_changes_no_training(run, tmp_path):
    plain = run(work_dir=str(tmp_path / "plain"))
    told = run(val_cfg={"type": "ValLoop", "loss": True})
    for name, weight in plain.model.state_dict().items():
        assert torch.equal(weight, told.model.state_dict()[name]), name


def test_several_sets_share_an_evaluator_and_are_prefixed_by_their_names(run):
    entry = val_lines(run(val_dataloader=TWO))[-1]
    assert {"city/aAcc", "night/aAcc"} <= set(entry)


def test_each_set_has_its_own_evaluator(run):
    evaluators = {"city": {"type": "PixelAccuracy"}, "night": {"type": "CountAll"}}
    metrics = run(val_dataloader=TWO, val_evaluator=evaluators).val_loop.run()
    assert set(metrics) == {"city/aAcc", "night/count"}
    assert metrics["night/count"] == 4


def test_a_list_of_sets_is_numbered(make):
    evaluators = [{"type": "CountAll"}, [{"type": "CountAll"}, {"type": "PixelAccuracy"}]]
    metrics = make(val_dataloader=[loader(8), loader(4)], val_evaluator=evaluators).val()
    assert metrics["0/count"] == 8
    assert {"0/count", "1/count", "1/aAcc"} == set(metrics)


def test_a_set_with_an_interval_is_left_out_in_between_but_not_at_the_end(run):
    runner = run(
        val_dataloader=TWO,
        val_cfg={"type": "ValLoop", "sets": {"night": {"interval": 2}}},
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 5},
    )
    seen = [("city/aAcc" in e, "night/aAcc" in e) for e in val_lines(runner)]
    assert seen == [(True, False), (True, True), (True, False), (True, True), (True, True)]


def test_a_validation_on_request_evaluates_every_set(make):
    cfg = {"type": "ValLoop", "sets": {"night": {"interval": 2}}}
    assert len(make(val_dataloader=TWO, val_cfg=cfg).val()) == 2


def test_a_set_may_have_another_prefix_and_its_loss(make):
    cfg = {"type": "ValLoop", "sets": {"night": {"prefix": "dark", "loss": True}}}
    metrics = make(val_dataloader=TWO, val_cfg=cfg).val()
    assert set(metrics) == {"city/aAcc", "dark/aAcc", "dark/loss", "dark/loss_seg"}


def test_the_best_of_a_set_waits_for_its_validations(run):
    runner = run(
        val_dataloader=TWO,
        val_cfg={"type": "ValLoop", "sets": {"night": {"interval": 2}}},
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 3},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "save_best": "night/aAcc"}},
        custom_hooks=[EarlyStoppingHook("night/aAcc", strict=True, patience=9)],
    )
    best = [name for name in runner.store.names() if name.startswith("best_night_aAcc")]
    assert best in (["best_night_aAcc_epoch_2"], ["best_night_aAcc_epoch_3"])


def test_the_last_part_of_a_name_is_not_enough_with_several_sets(run):
    with pytest.raises(KeyError, match="save_best names 'aAcc'"):
        run(
            val_dataloader=TWO,
            default_hooks={"checkpoint": {"type": "CheckpointHook", "save_best": "aAcc"}},
        )


def test_hooks_hear_of_one_validation_with_all_metrics(run):
    class Heard(Hook):
        def __init__(self):
            self.calls = []

        def before_val_epoch(self, runner):
            self.calls.append("before")

        def after_val_epoch(self, runner, metrics=None):
            self.calls.append(sorted(metrics))

    heard = Heard()
    run(val_dataloader=TWO, custom_hooks=[heard])
    assert heard.calls == ["before", ["city/aAcc", "night/aAcc"]] * 2


def test_pictures_of_several_sets_do_not_overwrite_each_other(run, tmp_path):
    hook = {"type": "SegVisualizationHook", "draw": True, "interval": 1}
    run(val_dataloader=TWO, custom_hooks=[hook])
    names = {p.name for p in (tmp_path / "run" / "vis_image").iterdir()}
    assert {"val_city_3_0_0.png", "val_night_3_0_0.png"} <= names


MISTAKES = {
    "night2": ({"sets": {"nihgt": {}}}, "did you mean 'night'"),
    "key": ({"sets": {"night": {"intervall": 2}}}, "did you mean 'interval'"),
    "zero": ({"sets": {"night": {"interval": 0}}}, "at least 1, got 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_sets_are_told_by_run_and_plan(make, config, name):
    options, told = MISTAKES[name]
    changes = {"val_dataloader": TWO, "val_cfg": {"type": "ValLoop", **options}}
    with pytest.raises(ConfigError, match=told):
        make(**changes).val()
    assert any(told in str(f) for f in check(Config({**config, **changes})))


def test_a_plan_finds_nothing_wrong_with_several_sets(config):
    changes = {
        "val_dataloader": TWO,
        "val_cfg": {"type": "ValLoop", "loss": True, "sets": {"night": {"interval": 2}}},
        "val_evaluator": {"city": {"type": "PixelAccuracy"}, "night": [{"type": "CountAll"}]},
    }
    assert [f for f in check(Config({**config, **changes})) if f.level == "error"] == []


def test_a_plan_looks_into_every_set(config):
    wrong = {"val_dataloader": {**TWO, "night": {**loader(4), "batch_sise": 3}}}
    found = [f for f in check(Config({**config, **wrong})) if f.level == "error"]
    assert [f.path for f in found] == ["val_dataloader.night.batch_sise"]


def test_a_monitor_of_several_sets_needs_the_whole_name(config):
    changes = {
        "val_dataloader": TWO,
        "val_evaluator": {"type": "Accuracy"},
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "save_best": "nihgt/accuracy/top1"}
        },
    }
    told = [str(f) for f in check(Config({**config, **changes})) if f.level == "error"]
    assert any("did you mean 'night/accuracy/top1'" in one for one in told)

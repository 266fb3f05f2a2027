"""The small hooks: what they do and, where there is nothing to do, that they do nothing."""

import json

import pytest
import torch

from loopwright.hooks import Hook
from loopwright.hooks.housekeeping import TimeLimitHook

QUIET = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}


def test_a_time_limit_saves_and_leaves_with_the_code_of_a_preemption(make):
    runner = make(custom_hooks=[{"type": "TimeLimitHook", "seconds": 0}], **QUIET)
    with pytest.raises(SystemExit) as ended:
        runner.train()
    assert ended.value.code == 75
    assert runner.iter == 1
    assert len(runner.store.names()) == 1


def test_a_run_that_hit_its_time_limit_ends_where_an_unlimited_one_does(make, run, tmp_path):
    whole = run(work_dir=str(tmp_path / "whole"), **QUIET)
    cut = make(custom_hooks=[{"type": "TimeLimitHook", "seconds": 0}], **QUIET)
    with pytest.raises(SystemExit):
        cut.train()
    rest = run(resume=True, **QUIET)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, rest.model.state_dict()[name]), name


def test_a_time_limit_needs_exactly_one_unit():
    for given in ({}, {"hours": 1, "seconds": 1}):
        with pytest.raises(ValueError, match="either hours or seconds"):
            TimeLimitHook(**given)


def test_empty_cache_and_memory_stats_are_silent_without_an_accelerator(run):
    hooks = [
        {"type": "EmptyCacheHook", "before_epoch": True, "after_epoch": True, "after_iter": True},
        {"type": "MemoryStatsHook", "interval": 1},
    ]
    runner = run(custom_hooks=hooks, env_cfg={"device": "cpu"})
    assert runner.iter == 6
    assert "train/memory" not in runner.storage.histories()


def test_sync_buffers_leaves_one_process_alone(run):
    plain = run(model={"type": "ToyResNet"}, **_classes())
    synced = run(
        model={"type": "ToyResNet"}, custom_hooks=[{"type": "SyncBuffersHook"}], **_classes()
    )
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, synced.model.state_dict()[name]), name


def _classes():
    data = {
        "batch_size": 4,
        "dataset": {"type": "ToyClasses", "length": 12},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    }
    return {"train_dataloader": data, **QUIET}


def test_gradient_norms_are_those_of_the_parts(run):
    class Norms(Hook):
        seen = []

        def after_backward(self, runner):
            head = [p for n, p in runner.model.named_parameters() if n.startswith("decode_head")]
            self.seen.append(
                (
                    sum(float(p.grad.pow(2).sum()) for p in head) ** 0.5,
                    sum(float(p.detach().pow(2).sum()) for p in head) ** 0.5,
                )
            )

    runner = run(custom_hooks=[Norms(), {"type": "GradientStatsHook", "interval": 2}], **QUIET)
    histories = runner.storage.histories()
    told = histories["train/grad_norm/decode_head"].tail(9)
    weights = histories["train/weight_norm/decode_head"].tail(9)
    assert told == pytest.approx([Norms.seen[i][0] for i in (1, 3, 5)], rel=1e-5)
    assert weights == pytest.approx([Norms.seen[i][1] for i in (1, 3, 5)], rel=1e-5)
    assert "train/grad_norm/backbone" in histories


def test_gradient_statistics_reach_the_metrics_file(run, tmp_path):
    hook = {"type": "GradientStatsHook", "interval": 2, "depth": 2}
    run(custom_hooks=[hook], **QUIET)
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    names = {name for line in text.splitlines() for name in json.loads(line)}
    assert {"grad_norm/backbone.blocks", "weight_norm/backbone.pos_embed"} <= names


def assert_measured(runner):
    """Batch norm's statistics are those of all twelve samples under the weights there are."""
    model = runner.model
    images = torch.stack([runner.train_dataloader.dataset[i]["inputs"] for i in range(12)])
    seen = model.backbone.conv1(images).detach()
    assert torch.allclose(model.backbone.bn1.running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    variance = seen.transpose(0, 1).flatten(1).var(1, unbiased=False)
    assert torch.allclose(model.backbone.bn1.running_var, variance, rtol=0.01)


def test_precise_bn_measures_what_a_pass_over_all_batches_gives(run):
    hook = {"type": "PreciseBNHook", "num_iters": 3}
    assert_measured(run(model={"type": "ToyResNet"}, custom_hooks=[hook], **_classes()))


def test_precise_bn_takes_what_there_is_when_an_epoch_is_shorter_than_num_iters(run):
    hook = {"type": "PreciseBNHook", "num_iters": 200}
    assert_measured(run(model={"type": "ToyResNet"}, custom_hooks=[hook], **_classes()))


def test_precise_bn_changes_no_weight(run, tmp_path):
    plain = run(model={"type": "ToyResNet"}, work_dir=str(tmp_path / "a"), **_classes())
    hook = {"type": "PreciseBNHook", "num_iters": 3}
    measured = run(
        model={"type": "ToyResNet"}, work_dir=str(tmp_path / "b"), custom_hooks=[hook], **_classes()
    )
    for name, weight in plain.model.named_parameters():
        assert torch.equal(weight, measured.model.state_dict()[name]), name

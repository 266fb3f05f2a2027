"""Hooks that draw, profile, switch pipelines and augment tests."""

import os

import numpy as np
import pytest
import torch

from loopwright.data import BaseDataset
from loopwright.model.tta import BaseTTAModel
from loopwright.registry import DATASETS, MODELS, TRANSFORMS

QUIET = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}
NO_TRAINING = {"train_cfg": None, "train_dataloader": None, "optim_wrapper": None}


def pictures(runner):
    folder = os.path.join(runner.work_dir, "vis_image")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def test_naive_visualization_names_each_picture_by_its_labels(make):
    data = {
        "batch_size": 4,
        "dataset": {"type": "ToyClasses", "length": 8},
        "collate_fn": {"type": "default_collate"},
    }
    hook = {"type": "NaiveVisualizationHook", "interval": 4}
    runner = make(
        model={"type": "ToyResNet"},
        test_dataloader=data,
        test_evaluator={"type": "CountAll"},
        custom_hooks=[hook],
        **NO_TRAINING,
        **QUIET,
    )
    runner.test()
    dataset = runner.test_dataloader.dataset
    runner.model.eval()
    with torch.no_grad():
        labels = runner.model(torch.stack([dataset[i]["inputs"] for i in (3, 7)]), mode="predict")
    expected = [
        f"test_{i + 1}_gt_{int(dataset[i]['data_samples'])}_pred_{int(label)}.png"
        for i, label in zip((3, 7), labels)
    ]
    assert pictures(runner) == sorted(expected)


def test_segmentations_of_every_interval_are_drawn_into_the_run_folder(run):
    hook = {"type": "SegVisualizationHook", "draw": True, "interval": 2}
    runner = run(custom_hooks=[hook])
    assert pictures(runner) == [f"val_{i}_1_{n}.png" for i in (3, 6) for n in range(4)]


def test_nothing_is_drawn_unless_draw_is_on(run):
    assert pictures(run(custom_hooks=[{"type": "SegVisualizationHook"}])) == []


def test_the_profiler_writes_its_trace_once_the_iterations_are_over(run, tmp_path):
    trace = tmp_path / "trace.json"
    hook = {
        "type": "ProfilerHook",
        "by_epoch": False,
        "profile_times": 2,
        "json_trace_path": str(trace),
    }
    run(custom_hooks=[hook], **QUIET)
    assert "traceEvents" in trace.read_text()


def test_the_profiler_prints_a_table(run, capsys):
    hook = {
        "type": "ProfilerHook",
        "by_epoch": False,
        "profile_times": 1,
        "on_trace_ready": {"type": "log_trace", "row_limit": 3},
    }
    run(custom_hooks=[hook], **QUIET)
    assert "Self CPU" in capsys.readouterr().out


def test_an_unknown_trace_is_refused(run):
    hook = {"type": "ProfilerHook", "on_trace_ready": {"type": "tb"}}
    with pytest.raises(ValueError, match="tb_trace or log_trace, got 'tb'"):
        run(custom_hooks=[hook], **QUIET)


@TRANSFORMS.register_module(force=True)
class Paint:
    def __init__(self, value):
        self.value = value

    def __call__(self, sample):
        return {
            "inputs": torch.full((1, 8, 8), self.value),
            "data_samples": torch.zeros(8, 8).long(),
        }


@DATASETS.register_module(force=True)
class Painted(BaseDataset):
    def load_data_list(self):
        return [{"number": i} for i in range(8)]


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (1, True)])
def test_another_pipeline_takes_over_at_its_epoch(run, workers, persistent):
    from loopwright.hooks import Hook

    class Seen(Hook):
        def __init__(self):
            self.values = []

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.values.append(float(data_batch["inputs"].mean()))

    seen = Seen()
    data = {
        "batch_size": 4,
        "num_workers": workers,
        "persistent_workers": persistent,
        "dataset": {"type": "Painted", "pipeline": [{"type": "Paint", "value": 1.0}]},
        "collate_fn": {"type": "default_collate"},
    }
    switch = {
        "type": "PipelineSwitchHook",
        "switch_epoch": 1,
        "switch_pipeline": [{"type": "Paint", "value": 2.0}],
    }
    run(train_dataloader=data, custom_hooks=[seen, switch], **QUIET)
    assert seen.values == [1.0, 1.0, 2.0, 2.0]


def test_a_data_set_that_cannot_switch_is_named(run):
    switch = {"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": []}
    with pytest.raises(TypeError, match="ToyMasks has none"):
        run(custom_hooks=[switch], **QUIET)


@MODELS.register_module(force=True)
class Majority(BaseTTAModel):
    """Notes how many views it was given and answers with the first."""

    views = []

    def merge_preds(self, data_samples_list):
        self.views.extend(len(views) for views in data_samples_list)
        return [views[0] for views in data_samples_list]


def two_views(samples):
    """A batch of which every field holds the picture and its mirror image."""
    inputs = torch.stack([s["inputs"] for s in samples])
    masks = torch.stack([s["data_samples"] for s in samples])
    return {"inputs": [inputs, inputs.flip(-1)], "data_samples": [masks, masks]}


def test_a_test_is_augmented_and_the_model_is_itself_again_after_it(make, config):
    Majority.views.clear()
    data = {**config["test_dataloader"], "collate_fn": two_views}
    runner = make(
        test_dataloader=data,
        test_evaluator={"type": "CountAll"},
        custom_hooks=[{"type": "PrepareTTAHook", "tta_cfg": {"type": "Majority"}}],
        **NO_TRAINING,
        **QUIET,
    )
    model = runner.model
    assert runner.test() == {"count": 8}
    assert Majority.views == [2] * 8
    assert runner.model is model


def test_an_augmented_test_of_a_run_with_an_average_uses_the_average(make, config):
    data = {**config["test_dataloader"], "collate_fn": two_views}
    hooks = [
        {"type": "EMAHook", "momentum": 0.25},
        {"type": "PrepareTTAHook", "tta_cfg": {"type": "Majority"}},
    ]
    runner = make(
        test_dataloader=data, test_evaluator={"type": "CountAll"}, custom_hooks=hooks, **QUIET
    )
    runner.train()
    trained = {n: p.clone() for n, p in runner.model.state_dict().items()}
    runner.test()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, trained[name]), name


def test_curves_are_drawn_from_the_metrics(run, tmp_path):
    runner = run(custom_hooks=[{"type": "CurvesHook"}], **QUIET)
    assert np.fromfile(f"{runner.work_dir}/curves.png", "u1", 4).tobytes()[1:] == b"PNG"

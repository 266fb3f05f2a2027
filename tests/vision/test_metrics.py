"""mAP: by hand where it can be, and equal to COCO's own evaluators elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.registry import METRICS
from loopwright.vision.average_precision import Detections, Truth, summary, truth_of
from loopwright.vision.metrics import CocoMetric, _with_faster, _with_pycocotools

OTHERS = [
    pytest.param(_with_faster, "faster_coco_eval", id="faster-coco-eval"),
    pytest.param(_with_pycocotools, "pycocotools", id="pycocotools"),
]


def scenes(seed, images=6, classes=3, *, crowds=True):
    """Truth, and predictions that are moved truths of which some are missing, wrong or double."""
    rng = np.random.RandomState(seed)
    found, truth = [], []
    for _ in range(images):
        count = rng.randint(0, 6)
        corner = rng.uniform(0, 200, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(5, 150, (count, 2))], 1).round(1)
        labels = rng.randint(0, classes, count)
        ignore = rng.rand(count) < (0.2 if crowds else 0)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        truth.append(Truth(boxes, labels, ignore, areas))
        times = rng.randint(0, 4, count)
        seen = np.repeat(boxes, times, 0)
        seen = seen + rng.normal(0, 4, seen.shape).round(1)
        seen[:, 2:] = np.maximum(seen[:, 2:], seen[:, :2] + 1)
        named = np.repeat(labels, times)
        named = np.where(rng.rand(len(named)) < 0.2, rng.randint(0, classes, len(named)), named)
        scores = rng.rand(len(named)).round(1)
        found.append(Detections(seen, scores, named))
    return found, truth


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert np.allclose(value, theirs[name], atol=1e-12, equal_nan=True), name


@pytest.mark.parametrize(("other", "module"), OTHERS)
@pytest.mark.parametrize("seed", range(8))
def test_our_figures_are_those_of_cocos_evaluators(other, module, seed):
    pytest.importorskip(module)
    found, truth = scenes(seed)
    same(summary(found, truth, 3), other(found, truth, 3))


@given(st.integers(0, 100_000), st.integers(1, 12), st.integers(1, 4), st.booleans())
@settings(max_examples=25, deadline=None)
def test_our_figures_are_pycocotools_on_any_scenes(seed, images, classes, crowds):
    pytest.importorskip("pycocotools")
    found, truth = scenes(seed, images, classes, crowds=crowds)
    same(summary(found, truth, classes), _with_pycocotools(found, truth, classes))


def one(boxes, scores=None, labels=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    labels = np.zeros(len(boxes), int) if labels is None else np.array(labels)
    if scores is None:
        return truth_of({"boxes": boxes, "labels": labels})
    return Detections(boxes, np.array(scores, float), labels)


def test_a_perfect_detector_has_one():
    boxes = [[0, 0, 10, 10], [20, 20, 40, 40]]
    figures = summary([one(boxes, [0.9, 0.8])], [one(boxes)], 1)
    assert figures["mAP"] == pytest.approx(1)
    assert figures["AR@100"] == 1


def test_half_of_the_objects_at_full_precision():
    found = one([[0, 0, 10, 10]], [0.9])
    figures = summary([found], [one([[0, 0, 10, 10], [20, 20, 40, 40]])], 1)
    assert figures["mAP_50"] == pytest.approx(51 / 101)


def test_a_false_box_before_the_right_one_halves_the_precision():
    found = one([[50, 50, 60, 60], [0, 0, 10, 10]], [0.9, 0.8])
    assert summary([found], [one([[0, 0, 10, 10]])], 1)["mAP_50"] == pytest.approx(0.5)


def test_an_overlap_of_0_72_counts_up_to_0_70():
    found, truth = one([[0, 0, 10, 7.2]], [0.9]), one([[0, 0, 10, 10]])
    figures = summary([found], [truth], 1)
    assert figures["mAP"] == pytest.approx(0.5)
    assert figures["mAP_75"] == 0


def test_a_class_without_truth_is_left_out_of_the_mean():
    found = one([[0, 0, 10, 10], [0, 0, 9, 9]], [0.9, 0.9], [0, 1])
    figures = summary([found], [one([[0, 0, 10, 10]])], 2)
    assert figures["mAP"] == pytest.approx(1)
    assert np.isnan(figures["by_class"][1]).all()


def test_finding_nothing_is_zero_and_having_nothing_is_unknown():
    nothing = one(np.zeros((0, 4)), [])
    assert summary([nothing], [one([[0, 0, 9, 9]])], 1)["mAP"] == 0
    assert np.isnan(summary([nothing], [one([])], 1)["mAP"])


def tensors(found):
    return {k: torch.tensor(v) for k, v in found._asdict().items()}


@pytest.mark.parametrize("backend", ["own", "auto"])
def test_the_metric_reads_truth_from_the_sample_or_from_the_batch(backend):
    found, truth = scenes(3, images=4)
    figures = summary(found, truth, 3)
    columns = {
        "boxes": [torch.tensor(t.boxes) for t in truth],
        "labels": [torch.tensor(t.labels) for t in truth],
        "ignore": [torch.tensor(t.ignore) for t in truth],
    }
    batch = {"data_samples": columns}
    listed = {"data_samples": [{k: v[i] for k, v in columns.items()} for i in range(4)]}
    bare = [tensors(f) for f in found]
    wrapped = [{"pred_instances": {**tensors(f), "bboxes": torch.tensor(f.boxes)}} for f in found]
    held = [{**b, "gt": listed["data_samples"][i]} for i, b in enumerate(bare)]
    for samples, data in ((bare, batch), (bare, listed), (wrapped, batch), (held, None)):
        metric = METRICS.build({"type": "CocoMetric", "backend": backend, "num_classes": 3})
        metric.process(data, samples)
        assert metric.evaluate(4)["coco/bbox_mAP"] == pytest.approx(figures["mAP"])


def test_classes_are_named_in_the_figures_and_the_table(caplog):
    metric = CocoMetric(classwise=True, backend="own")
    metric.dataset_meta = {"classes": ("cat", "dog", "cow")}
    found, truth = scenes(3, images=4)
    metric.process(None, [{**tensors(f), "gt": t._asdict()} for f, t in zip(found, truth)])
    with caplog.at_level("INFO"):
        figures = metric.evaluate(4)
    assert {"coco/bbox_mAP/cat", "coco/bbox_mAP/cow"} <= set(figures)
    assert "cow" in caplog.text


def test_a_sample_without_truth_or_boxes_says_what_is_missing():
    metric = CocoMetric()
    with pytest.raises(KeyError, match="no truth"):
        metric.process(None, [{"boxes": torch.zeros(0, 4)}])
    with pytest.raises(KeyError, match="needs 'scores'"):
        metric.process(None, [{"boxes": [], "labels": [], "gt": {"boxes": [], "labels": []}}])


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="pycocotools"):
        CocoMetric(backend="coco")

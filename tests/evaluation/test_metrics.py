"""Metrics and the evaluator: by hand and against scikit-learn."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from loopwright.evaluation import (
    Accuracy,
    BaseMetric,
    ConfusionMatrix,
    DumpResults,
    Evaluator,
    IoUMetric,
    areas,
    confusion,
    get_metric_value,
    load_results,
    merge_metrics,
    prefix_metrics,
)


class Count(BaseMetric):
    """Counts samples."""

    default_prefix = "count"

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return {"number": len(results)}


def sample(scores, label):
    return {"pred_score": torch.tensor(scores), "gt_label": torch.tensor([label])}


def test_metrics_of_several_are_merged_under_their_prefixes():
    evaluator = Evaluator([Count(), Count(prefix="other")])
    evaluator.process([{"x": 1}] * 3)
    evaluator.process([{"x": 1}] * 2)
    assert evaluator.evaluate(5) == {"count/number": 5, "other/number": 5}


def test_padding_beyond_the_dataset_is_cut_off():
    evaluator = Evaluator(Count())
    evaluator.process([{"x": 1}] * 6)
    assert evaluator.evaluate(4) == {"count/number": 4}


def test_one_name_from_two_metrics_is_refused():
    evaluator = Evaluator([Count(), Count()])
    evaluator.process([{"x": 1}])
    with pytest.raises(ValueError, match="'count/number': give them different prefixes"):
        evaluator.evaluate(1)


def test_a_metric_without_samples_is_named():
    with pytest.raises(ValueError, match=r"Count \(prefix 'count'\) got no samples"):
        Evaluator(Count()).evaluate(3)


def test_an_error_inside_a_metric_names_it_and_forgets_the_samples():
    class Broken(Count):
        def compute_metrics(self, results):
            raise ZeroDivisionError

    metric = Broken()
    metric.process(None, [1])
    with pytest.raises(ZeroDivisionError) as caught:
        metric.evaluate(1)
    assert any("Broken (prefix 'count')" in note for note in caught.value.__notes__)
    assert metric.results == []


def test_nan_metrics_are_said():
    class Nothing(Count):
        def compute_metrics(self, results):
            return {"share": math.nan}

    evaluator = Evaluator(Nothing())
    evaluator.process([1])
    with pytest.warns(UserWarning, match="count/share"):
        evaluator.evaluate(1)


def test_metrics_come_as_plain_numbers():
    class Odd(Count):
        def compute_metrics(self, results):
            return {"a": torch.tensor(0.5), "b": np.float32(2), "c": np.array([3]), "d": [1, 2]}

    metric = Odd(prefix=None)
    metric.process(None, [1])
    found = metric.evaluate(1)
    assert found == {"count/a": 0.5, "count/b": 2.0, "count/c": 3, "count/d": [1, 2]}
    assert type(found["count/b"]) is float


def test_samples_that_can_become_dicts_do_and_the_dataset_is_told_to_every_metric():
    class Sample:
        def to_dict(self):
            return {"q": 1}

    evaluator = Evaluator([Count()])
    evaluator.dataset_meta = {"classes": ("a", "b")}
    evaluator.process([Sample()])
    assert evaluator.metrics[0].results == [{"q": 1}]
    assert evaluator.metrics[0].dataset_meta == {"classes": ("a", "b")}


def test_saved_outputs_are_evaluated_in_chunks():
    evaluator = Evaluator(Count())
    assert evaluator.offline_evaluate([{"x": 1}] * 5, chunk_size=2) == {"count/number": 5}
    with pytest.raises(ValueError, match="5 data_samples came with 4 data"):
        evaluator.offline_evaluate([1] * 5, [1] * 4)


def test_an_evaluator_is_built_from_configs_and_leaves_them_as_they_are():
    config = {"type": "Accuracy", "topk": [1, 2]}
    evaluator = Evaluator([config])
    assert evaluator.metrics[0].topk == (1, 2)
    assert config == {"type": "Accuracy", "topk": [1, 2]}
    with pytest.raises(TypeError, match="metric 0 must be"):
        Evaluator([3])
    with pytest.raises(ValueError, match="at least one"):
        Evaluator([])


def test_top_k_accuracy_in_percent():
    metric = Accuracy(topk=(1, 2))
    metric.process(None, [sample([0.1, 0.6, 0.3], 1), sample([0.5, 0.2, 0.3], 2)])
    metric.process(None, [sample([0.1, 0.2, 0.7], 0)])
    found = metric.evaluate(3)
    assert found == pytest.approx({"accuracy/top1": 100 / 3, "accuracy/top2": 200 / 3})


def test_accuracy_of_labels_thresholds_and_several_right_labels():
    labels = Accuracy()
    labels.process(None, [{"pred_label": 2, "gt_label": 2}, {"pred_label": 1, "gt_label": 2}])
    assert labels.evaluate(2) == {"accuracy/top1": 50.0}
    thresholds = Accuracy(thrs=(0.2, 0.8))
    thresholds.process(None, [{"pred_score": torch.tensor([0.4, 0.6]), "gt_label": [0, 1]}])
    found = thresholds.evaluate(1)
    assert found == {"accuracy/top1_thr-0.20": 100.0, "accuracy/top1_thr-0.80": 0.0}


def test_accuracy_says_what_a_sample_lacks():
    with pytest.raises(KeyError, match="did you mean 'gt_lable'"):
        Accuracy().process(None, [{"pred_score": torch.ones(2), "gt_lable": 1}])
    with pytest.raises(ValueError, match="more than the 2 classes"):
        Accuracy(topk=5).process(None, [sample([0.5, 0.5], 1)])
    with pytest.raises(ValueError, match="needs pred_score"):
        Accuracy(topk=5).process(None, [{"pred_label": 1, "gt_label": 1}])


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(labels)
def test_confusion_and_its_ratios_equal_sklearn(pairs):
    predicted, truth = (torch.tensor(column) for column in zip(*pairs))
    matrix = confusion(predicted, truth, 4)
    assert matrix.tolist() == reference.confusion_matrix(truth, predicted, labels=range(4)).tolist()
    found = areas(matrix)
    options = {"average": None, "labels": range(4), "zero_division": np.nan}
    jaccard = reference.jaccard_score(truth, predicted, **(options | {"zero_division": 0}))
    assert found.iou.nan_to_num(0).tolist() == pytest.approx(jaccard.tolist())
    precision, recall, *_ = reference.precision_recall_fscore_support(truth, predicted, **options)
    assert found.precision.tolist() == pytest.approx(precision.tolist(), nan_ok=True)
    assert found.recall.tolist() == pytest.approx(recall.tolist(), nan_ok=True)
    assert float(found.accuracy) == pytest.approx(reference.accuracy_score(truth, predicted))


def test_confusion_refuses_classes_that_do_not_exist():
    with pytest.raises(ValueError, match="a prediction is 7, but there are 2 classes"):
        confusion(torch.tensor([7]), torch.tensor([0]), 2)
    with pytest.raises(ValueError, match="a label is -1"):
        confusion(torch.tensor([0]), torch.tensor([-1]), 2)
    with pytest.raises(ValueError, match="differ in shape"):
        confusion(torch.zeros(2), torch.zeros(3), 2)


def test_a_confusion_matrix_learns_its_size_from_the_scores():
    metric = ConfusionMatrix()
    metric.process(None, [sample([0.9, 0.1, 0.0], 0), sample([0.9, 0.1, 0.0], 2)])
    expected = [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert metric.evaluate(2) == {"confusion_matrix/result": expected}


def masks(predicted, truth):
    return {
        "pred_sem_seg": {"data": torch.tensor([predicted])},
        "gt_sem_seg": {"data": torch.tensor([truth])},
    }


def test_mean_iou_over_all_pixels_of_all_samples(caplog):
    metric = IoUMetric(iou_metrics=["mIoU", "mDice", "mFscore"])
    metric.dataset_meta = {"classes": ("road", "sky", "never")}
    with caplog.at_level("INFO"):
        metric.process(None, [masks([[0, 0, 1, 1]], [[0, 1, 1, 255]])])
        metric.process(None, [masks([[0, 0, 0, 1]], [[0, 0, 0, 1]])])
        found = metric.evaluate(2)
    # road: 4 of 5 (pred 5, label 4), sky: 2 of 3 (pred 2, label 3), never: nowhere
    assert found["aAcc"] == pytest.approx(100 * 6 / 7)
    assert found["mIoU"] == pytest.approx(100 * (4 / 5 + 2 / 3) / 2)
    assert found["mAcc"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert found["mDice"] == pytest.approx(100 * (8 / 9 + 4 / 5) / 2)
    assert found["mFscore"] == pytest.approx(found["mDice"])
    assert found["mPrecision"] == pytest.approx(100 * (4 / 5 + 1) / 2)
    assert "road      80.00" in caplog.text


def test_an_absent_class_counts_as_said():
    metric = IoUMetric(num_classes=3, nan_to_num=-1)
    metric.process(None, [masks([[0, 1]], [[0, 1]])])
    assert metric.evaluate(1)["mIoU"] == pytest.approx((100 + 100 - 1) / 3)


def test_iou_needs_classes_and_known_figures():
    with pytest.raises(ValueError, match="does not know the classes"):
        IoUMetric().process(None, [masks([[0]], [[0]])])
    with pytest.raises(ValueError, match="got 'IoU'"):
        IoUMetric(iou_metrics="IoU")


@pytest.mark.parametrize("ending", ["json", "bin"])
def test_dumped_results_are_read_back_without_executing_anything(tmp_path, ending):
    path = str(tmp_path / f"out.{ending}")
    evaluator = Evaluator([DumpResults(path), Count()])
    evaluator.process([{"pred": torch.tensor([1.5, 2.0]), "name": "a"}, {"pred": 3, "name": "b"}])
    assert evaluator.evaluate(2) == {"count/number": 2}
    first, second = load_results(path)
    assert torch.as_tensor(first["pred"]).tolist() == [1.5, 2.0]
    assert (first["name"], second) == ("a", {"pred": 3, "name": "b"})


def test_pickles_are_not_written():
    with pytest.raises(ValueError, match="no pickles"):
        DumpResults("out.pkl")


def test_a_metric_is_found_by_its_last_name_when_that_is_clear():
    metrics = {"a/acc": 1.0, "b/acc": 2.0, "a/loss": 3.0}
    assert get_metric_value("a/acc", metrics) == 1.0
    assert get_metric_value("loss", metrics) == 3.0
    with pytest.raises(ValueError, match="several metrics: a/acc, b/acc"):
        get_metric_value("acc", metrics)
    with pytest.raises(ValueError, match="there are: a/acc"):
        get_metric_value("mIoU", metrics)


def test_several_validation_sets_keep_their_names_apart():
    parts = [prefix_metrics(name, {"mIoU": 0.5}) for name in ("city", "ade", None)]
    assert merge_metrics(parts) == {"city/mIoU": 0.5, "ade/mIoU": 0.5, "mIoU": 0.5}
    with pytest.raises(ValueError, match="'city/mIoU'"):
        merge_metrics([parts[0], parts[0]])
    assert json.dumps(merge_metrics(parts))

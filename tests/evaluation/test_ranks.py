"""Metrics over two processes: order, padding, errors that reach both; and torchmetrics by name."""

import runpy
from pathlib import Path

import pytest
import torch

from loopwright.evaluation import Accuracy, Evaluator, TorchMetric

HERE = Path(__file__).parent


def test_two_processes_agree_on_metrics_and_on_failures():
    run_pair = runpy.run_path(str(HERE.parent / "dist" / "pair.py"))["run_pair"]
    first, second = run_pair(HERE / "ranks_pair.py")
    assert first[0] == second[0] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert first[1] == "ZeroDivisionError: by hand"
    assert second[1] == "RuntimeError: the main process failed in Order: by hand"
    assert first[2] == second[2] == [7.0]
    assert (first[3], second[3]) == ("ValueError", "RuntimeError")


class FakeLibraryMetric:
    """What a torchmetrics metric looks like from outside; its module says so."""

    __module__ = "torchmetrics.by_hand"

    def __init__(self):
        self.right = self.total = 0

    def to(self, device):
        return self

    def update(self, predicted, target):
        self.right += int((predicted.argmax(1) == target).sum())
        self.total += len(target)

    def compute(self):
        return torch.tensor(self.right / self.total)

    def reset(self):
        self.right = self.total = 0


def samples():
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    return [{"pred_score": s, "gt_label": torch.tensor([1])} for s in scores]


def test_a_metric_of_the_library_is_taken_as_it_is():
    evaluator = Evaluator(FakeLibraryMetric())
    evaluator.process(samples())
    assert evaluator.evaluate(3) == {"fake_library_metric": pytest.approx(1 / 3)}
    with pytest.raises(ValueError, match="TorchMetric around FakeLibraryMetric got no samples"):
        evaluator.evaluate(3)


def test_torchmetrics_by_name_agrees_with_our_accuracy():
    pytest.importorskip("torchmetrics")
    config = {"type": "MulticlassAccuracy", "num_classes": 2, "average": "micro"}
    evaluator = Evaluator([{"type": "TorchMetric", "metric": config}, Accuracy()])
    evaluator.process(samples())
    found = evaluator.evaluate(3)
    assert found["multiclass_accuracy"] * 100 == pytest.approx(found["accuracy/top1"])
    with pytest.raises(ValueError, match="did you mean 'MulticlassAccuracy'"):
        TorchMetric({"type": "MulticlasAccuracy"})


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics", None)
    with pytest.raises(ImportError, match="pip install torchmetrics"):
        TorchMetric({"type": "MulticlassAccuracy"})

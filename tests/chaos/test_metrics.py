"""A metric that fails keeps the training done before it; a NaN one is never the best."""

import pytest
from lives import make
from toy import Right, spec

from loopwright.checkpoint import Store


class Failing(Right):
    def compute_metrics(self, results):
        raise ZeroDivisionError("no samples of class c")


class Undefined(Right):
    """NaN first, then a number, then NaN for ever."""

    def __init__(self):
        super().__init__()
        self.values = iter((float("nan"), 0.5))

    def compute_metrics(self, results):
        return {"right": next(self.values, float("nan"))}


def test_a_failing_metric_leaves_a_checkpoint_of_the_training_before_it(tmp_path):
    with pytest.raises(ZeroDivisionError, match="class c") as caught:
        make(spec(tmp_path, val_evaluator=[Failing()])).train()
    assert "while computing the metric Failing" in "".join(caught.value.__notes__)
    assert Store(tmp_path).newest().step == 6


def test_a_metric_that_is_nan_is_never_the_best(tmp_path):
    make(spec(tmp_path, val_evaluator=[Undefined()])).train()
    assert [n for n in Store(tmp_path).names() if n.startswith("best")] == ["best_right_iter_12"]

"""detectron2's evaluators: modes restored after everything, results checked and flattened."""

import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from loopwright.evaluation import (
    DatasetEvaluator,
    DatasetEvaluators,
    flatten_results_dict,
    inference_on_dataset,
    print_csv_format,
    verify_results,
)


class Mean(DatasetEvaluator):
    """The mean output."""

    def __init__(self, name="mean"):
        self.name = name

    def reset(self):
        self.seen = []

    def process(self, inputs, outputs):
        assert not torch.is_grad_enabled()
        self.seen += outputs.flatten().tolist()

    def evaluate(self):
        return {self.name: {"value": sum(self.seen) / len(self.seen)}}


class Explodes(Mean):
    """Fails in the middle."""

    def process(self, inputs, outputs):
        raise RuntimeError("boom")


@pytest.fixture
def model():
    """A training model with a frozen part in eval mode."""
    parts = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(1), nn.Dropout(0.5)).train()
    parts[1].eval()
    return parts


def modes(model):
    return [module.training for module in model.modules()]


def batches():
    yield from (torch.ones(2, 1), torch.full((2, 1), 3.0))


def test_a_loader_without_length_is_evaluated_in_eval_mode(model):
    found = inference_on_dataset(model, batches(), Mean())
    assert found["mean"]["value"] == pytest.approx(2.0, rel=1e-4)
    assert modes(model) == [True, True, False, True]


def test_the_mode_of_every_part_comes_back_after_an_error(model):
    before = modes(model)
    with pytest.raises(RuntimeError, match="boom"):
        inference_on_dataset(model, batches(), Explodes())
    assert modes(model) == before


def test_several_evaluators_are_merged_and_a_double_name_is_refused():
    identity = nn.Flatten(0)
    found = inference_on_dataset(identity, list(batches()), [Mean("a"), Mean("b")])
    assert found == {"a": {"value": 2.0}, "b": {"value": 2.0}}
    with pytest.raises(ValueError, match="'a'"):
        inference_on_dataset(identity, batches(), DatasetEvaluators([Mean("a"), Mean("a")]))


def test_no_evaluator_gives_no_results():
    assert inference_on_dataset(nn.Identity(), batches(), None) == {}


def test_callbacks_are_called_in_order():
    said = []
    names = ("on_start", "before_inference", "after_inference", "on_end")
    callbacks = {name: lambda name=name: said.append(name) for name in names}
    inference_on_dataset(nn.Identity(), batches(), None, callbacks)
    assert said == [names[0], *names[1:3], *names[1:3], names[3]]
    with pytest.raises(ValueError, match="'on_begin'"):
        inference_on_dataset(nn.Identity(), batches(), None, {"on_begin": print})


def test_results_are_told_for_a_spreadsheet(caplog):
    with caplog.at_level(logging.INFO, "loopwright.evaluation"):
        print_csv_format({"bbox": {"AP": 40.12345, "AP50": 60.0, "AP-cat": 1.0}, "n": 2})
    assert [r.getMessage() for r in caplog.records] == [
        "copypaste: Task: bbox",
        "copypaste: AP,AP50",
        "copypaste: 40.1234,60.0000",
        "copypaste: n=2",
    ]


def test_results_are_verified_against_the_config():
    expected = [["bbox", "AP", 40.0, 0.5]]
    cfg = SimpleNamespace(TEST=SimpleNamespace(EXPECTED_RESULTS=expected))
    assert verify_results(cfg, {"bbox": {"AP": 40.3}})
    for bad in ({"bbox": {"AP": 41.0}}, {"bbox": {"AP": float("nan")}}, {}):
        with pytest.raises(SystemExit):
            verify_results(cfg, bad)


def test_nested_results_become_flat():
    nested = {"bbox": {"AP": 1.0, "by": {"size": 2.0}}, "n": 3}
    assert flatten_results_dict(nested) == {"bbox/AP": 1.0, "bbox/by/size": 2.0, "n": 3}

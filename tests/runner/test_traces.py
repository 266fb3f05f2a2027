"""A run says the hook points in the order of MMEngine 0.10.7, and ends with its weights."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from loopwright.evaluation import BaseMetric
from loopwright.hooks import Hook
from loopwright.model import BaseModel
from loopwright.runner import Runner

GOLDEN = Path(__file__).parents[1] / "golden" / "traces"


def toy():
    spec = importlib.util.spec_from_file_location("toy", GOLDEN / "toy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["epoch", "iter"])
def run_and_golden(request, tmp_path_factory):
    torch.set_num_threads(1)
    engine = SimpleNamespace(Hook=Hook, BaseModel=BaseModel, BaseMetric=BaseMetric, Runner=Runner)
    found = toy().run(request.param, engine, tmp_path_factory.mktemp(request.param))
    return found, json.loads((GOLDEN / f"{request.param}.json").read_text())


def test_hooks_are_called_as_mmengine_calls_them(run_and_golden):
    found, golden = run_and_golden
    assert found["trace"] == golden["trace"]


def test_final_weights_are_mmengines_to_the_last_bit(run_and_golden):
    found, golden = run_and_golden
    assert found["weights"] == golden["weights"]


def test_the_last_learning_rate_is_mmengines(run_and_golden):
    found, golden = run_and_golden
    assert found["lr"] == golden["lr"]

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from loopwright.model import (
    as_trainable,
    detect_anomalous_params,
    model_state,
    parameters_without_part,
    unwrap,
    wrap_model,
)
from loopwright.model.sharded import chosen_units, dtype_of

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def pair():
    spec = importlib.util.spec_from_file_location("pair", HERE.parent / "dist" / "pair.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run_pair(HERE / "wrapped_pair.py")


@pytest.mark.parametrize(
    ("what", "reference"),
    [
        ("plain", "alone"),
        ("accumulating", "alone accumulating"),
        ("sharded accumulating", "alone accumulating"),
    ],
)
def test_two_processes_train_to_the_weights_of_one(pair, what, reference):
    for process in pair:
        assert process[what] == pytest.approx(process[reference], abs=1e-6)


def test_a_sharded_model_trains_to_the_same_weights_in_half_the_memory(pair):
    total = len(pair[0]["alone"])
    for process in pair:
        assert process["sharded"]["weights"] == pytest.approx(process["alone"], abs=1e-6)
        assert process["sharded"]["local"] <= total * 0.6
        assert process["sharded"]["predicts"] == 4


def test_sharding_keeps_names_and_fingerprint_and_loads_whole_tensors(pair):
    assert all(p["sharded"]["start"] and p["sharded"]["loaded"] for p in pair)


def test_all_ranks_start_and_end_the_same(pair):
    assert pair[0]["start"] == pair[1]["start"]
    assert pair[0]["end"] == pair[1]["end"]
    assert pair[0]["start"] != pair[0]["end"]


def test_ranks_that_start_apart_are_told_where(pair):
    assert all("processes 0 and 1" in p["apart"] for p in pair)
    assert all("first difference 1.weight" in p["apart"] for p in pair)


def test_a_wrapped_model_is_found_again(pair):
    assert all(p["unwrapped"] for p in pair)


def test_a_training_step_of_ones_own_needs_the_separate_wrapper(pair):
    assert pair[0]["own"] == pair[1]["own"]
    assert "MMSeparateDistributedDataParallel" in pair[0]["refused"]


def test_norm_statistics_are_those_of_all_processes(pair):
    assert all(p["norm"] for p in pair)


class HasModule(nn.Module):
    """Has a child called `module` and is no wrapper."""

    def __init__(self):
        super().__init__()
        self.module = nn.Linear(1, 1)
        self.head = nn.Linear(1, 1)


def test_an_attribute_called_module_makes_no_wrapper():
    model = HasModule()
    assert unwrap(model) is model


def test_wrappers_and_compiled_models_are_opened():
    model = HasModule()
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(torch.compile(nn.DataParallel(model))) is model


def test_names_inside_separate_wrappers_are_the_models_own():
    model = HasModule()
    separate = nn.DataParallel(model.head)
    model.head = separate
    assert list(model_state(model)) == [
        "module.weight",
        "module.bias",
        "head.weight",
        "head.bias",
    ]


def test_a_misspelt_wrapper_names_the_nearest():
    model = as_trainable(nn.Linear(1, 1))
    with pytest.raises(KeyError, match="did you mean 'MMDistributedDataParallel'"):
        wrap_model(model, {"type": "MMDistributedDataParalel"}, torch.device("cpu"))


def test_parameters_without_a_part_in_the_loss_are_named():
    model = nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
    loss = model["used"](torch.ones(1, 1)).square().sum()
    assert parameters_without_part(loss, model) == ["idle.weight", "idle.bias"]
    with pytest.warns(UserWarning, match="does not depend on idle.weight, idle.bias"):
        detect_anomalous_params(loss, model)


def test_blocks_are_gathered_one_at_a_time_innermost_first():
    blocks = nn.ModuleList(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)) for _ in range(2))
    units = list(chosen_units(nn.ModuleDict({"blocks": blocks}), None))
    assert units.index("blocks.0.1") < units.index("blocks.0")
    assert set(chosen_units(nn.ModuleDict({"b": blocks}), "Linear")) == {
        "b.0.0",
        "b.0.1",
        "b.1.0",
        "b.1.1",
    }
    with pytest.raises(ValueError, match="'Conv2d' matches no sub-module"):
        chosen_units(nn.ModuleDict({"blocks": blocks}), "Conv2d")


def test_types_are_known_by_name():
    assert dtype_of("torch.bfloat16") is torch.bfloat16
    with pytest.raises(ValueError, match="'half precision' is no torch type"):
        dtype_of("half precision")

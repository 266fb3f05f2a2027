"""Weights go into models by name; what does not fit is said readably."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loopwright.checkpoint import WeightsError, load_weights


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


class Wrapped(torch.nn.Module):
    """As DistributedDataParallel names things."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def weights(fill: float = 7.0):
    return {k: torch.full_like(v, fill) for k, v in net().state_dict().items()}


def test_everything_fits():
    model = net()
    report = load_weights(model, weights(), strict=True)
    assert report.ok
    assert model[0].weight.eq(7).all()
    assert str(report) == "7 tensors loaded"


@pytest.mark.parametrize("target", ["plain", "wrapped", "compiled", "both"])
@pytest.mark.parametrize("source", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_compiled_and_wrapped_models_interchange_with_plain_ones(target, source):
    model = net()
    outer = {
        "plain": lambda: model,
        "wrapped": lambda: Wrapped(model),
        "compiled": lambda: torch.compile(model),
        "both": lambda: torch.compile(Wrapped(model)),
    }[target]()
    report = load_weights(outer, {f"{source}{k}": v for k, v in weights().items()}, strict=True)
    assert len(report.loaded) == 7
    assert model[0].weight.eq(7).all()


def test_a_model_with_a_part_really_called_module_loads_whole():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = torch.nn.Linear(2, 2)
            self.head = torch.nn.Linear(2, 1)

    model = Model()
    state = {k: torch.full_like(v, 3.0) for k, v in model.state_dict().items()}
    assert load_weights(model, state, strict=True).ok
    assert model.module.weight.eq(3).all()
    assert model.head.weight.eq(3).all()


def test_two_parts_that_differ_only_by_a_wrappers_name_are_not_confused():
    model = torch.nn.ModuleDict({"module": torch.nn.Linear(1, 1)})
    model.weight = torch.nn.Parameter(torch.zeros(1, 1))
    state = {"module.weight": torch.ones(1, 1), "weight": torch.full((1, 1), 2.0)}
    load_weights(model, state, revise_keys=())
    assert model.weight.item() == 2.0
    assert model["module"].weight.item() == 1.0


def test_missing_unexpected_and_shapes_are_grouped_with_the_nearest_names():
    state = weights()
    state["0.wieght"] = state.pop("0.weight")
    state["1.weight"] = torch.ones(5)
    report = load_weights(net(), state)
    assert report.missing == ("0.weight",)
    assert report.unexpected == ("0.wieght",)
    assert report.shapes == (("1.weight", (5,), (2,)),)
    assert str(report).splitlines() == [
        "5 tensors loaded",
        "1 missing in the checkpoint (0.* 1):",
        "  0.weight   (near: 0.wieght)",
        "1 unexpected in the checkpoint (0.* 1):",
        "  0.wieght   (near: 0.weight)",
        "1 of another shape:",
        "  1.weight: checkpoint [5], model [2]",
    ]


def test_a_misfit_leaves_the_parameter_as_it_was():
    model = net()
    before = model[1].weight.clone()
    load_weights(model, {**weights(), "1.weight": torch.ones(5)})
    assert torch.equal(model[1].weight, before)


def test_strict_refuses_any_difference_with_the_report():
    with pytest.raises(WeightsError, match=r"do not fit[\s\S]*1 unexpected[\s\S]*extra"):
        load_weights(net(), {**weights(), "extra": torch.ones(1)}, strict=True)


def test_nothing_that_fits_is_an_error_even_when_not_strict():
    with pytest.raises(WeightsError, match="no weight fits this model"):
        load_weights(net(), {"other.weight": torch.ones(2)})


def test_batch_counters_that_old_files_lack_are_not_missed():
    state = weights()
    del state["1.num_batches_tracked"]
    assert load_weights(net(), state, strict=True).ok


def test_keys_are_revised_in_order_and_a_prefix_selects():
    state = {f"detector.backbone.{k}": v for k, v in weights().items()}
    state["detector.head.weight"] = torch.ones(1)
    report = load_weights(net(), state, revise_keys=[(r"^detector\.", "")], prefix="backbone")
    assert report.ok
    with pytest.raises(WeightsError, match=r"no name begins with 'neck\.'; they begin with detect"):
        load_weights(net(), state, prefix="neck")


def test_arrays_load_as_tensors_and_a_state_dict_may_be_the_target():
    target = {"w": torch.zeros(2), "b": torch.zeros(1)}
    report = load_weights(target, {"module.w": np.ones(2, np.float32)})
    assert target["w"].tolist() == [1.0, 1.0]
    assert report.missing == ("b",)


def test_hooks_of_a_module_that_rename_old_keys_take_part():
    class Renamed(torch.nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            if f"{prefix}kernel" in state_dict:
                state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}kernel")
            super()._load_from_state_dict(state_dict, prefix, *args)

    model = Renamed(2, 1)
    report = load_weights(model, {"kernel": torch.full((1, 2), 4.0), "bias": torch.ones(1)})
    assert model.weight.eq(4).all()
    assert report.ok


def test_the_state_given_is_not_changed():
    state = {f"module.{k}": v for k, v in weights().items()}
    names = list(state)
    load_weights(net(), state)
    assert list(state) == names

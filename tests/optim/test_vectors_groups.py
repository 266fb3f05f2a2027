"""Parameter groups against what MMEngine 0.10.7 made: every case of every param_groups*.json."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from torch import nn

from loopwright.optim import build_optim_wrapper
from loopwright.optim.constructor import DefaultOptimWrapperConstructor
from loopwright.optim.optimizers import optimizer_class

Case = dict[str, Any]

USED_UP = {"lr_mult", "decay_mult"}
"""Left in the group by MMEngine after use; they are no options, and would keep groups apart."""

ANSWERED_BETTER: list[tuple[Callable[[Case, nn.Module], bool], str]] = [
    (
        lambda case, model: case["error"]["type"] == "ValueError" and _shares(model),
        "a shared parameter whose two places get the same options is simply taken once",
    ),
    (
        lambda case, model: case["error"]["type"] == "TypeError" and _lr(case) is None,
        "custom keys multiply the optimizer's default lr where the config gives none",
    ),
]
"""Recorded errors for which we build groups instead, where nothing else is wrong, and why."""

STILL_WRONG = "which is not given|is shared, and paramwise_cfg gives it"
"""What else may be wrong with such a case: no weight decay to multiply, two options for one."""


def _shares(model: nn.Module) -> bool:
    places = model.named_parameters(remove_duplicate=False)
    return len(list(places)) > len(list(model.parameters()))


def _lr(case: Case) -> Any:
    return case["optim_wrapper"].get("optimizer", {}).get("lr")


SCALING = ("loss_scale", "dtype", "use_fsdp", "opt_level")
"""Options of the wrappers that scale: how a loss is scaled does not change groups."""

OF_GROUPS = ("lr", "weight_decay", "model_type", "layer_decay_rate", "batch_size_per_gpu")
"""What constructors read of an optimizer: enough where it is another library's."""


def config(case: Case) -> dict[str, Any]:
    """The config with a plain wrapper, and a known optimizer in the place of an unknown one."""
    plain = {k: v for k, v in case["optim_wrapper"].items() if k not in SCALING}
    optimizer = plain.get("optimizer")
    if optimizer and not _is_known(optimizer):
        own = {k: v for k, v in optimizer.items() if k in OF_GROUPS}
        plain["optimizer"] = {**own, "type": "AdamW"}
    return {**plain, "type": "OptimWrapper"}


def _is_known(optimizer: dict[str, Any]) -> bool:
    try:
        return optimizer_class(optimizer) is not None
    except LookupError:
        return False


def test_an_optimizer_of_another_library_has_a_stand_in() -> None:
    there = {"type": "Sophia", "lr": 0.5, "rho": 0.1}
    found = config({"optim_wrapper": {"optimizer": there, "dtype": "bfloat16"}})
    assert found == {"optimizer": {"type": "AdamW", "lr": 0.5}, "type": "OptimWrapper"}


def test_groups_are_the_recorded_ones(
    groups_case: tuple[Case, Case], vector_models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, _ = groups_case
    model = vector_models.build(case["model"])
    dcn = (vector_models.DeformConv2d, vector_models.ModulatedDeformConv2d)
    here = dcn if case.get("mmcv_full") else ()
    monkeypatch.setattr(DefaultOptimWrapperConstructor, "dcn_types", here)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "error" not in case:
            compare(case, model, build_optim_wrapper(model, config(case)))
        elif any(fits(case, model) for fits, _ in ANSWERED_BETTER):
            build_unless_wrong(case, model)
        else:
            with pytest.raises(Exception) as info:
                build_optim_wrapper(model, config(case))
            assert not isinstance(info.value, AssertionError | AttributeError)


def build_unless_wrong(case: Case, model: nn.Module) -> None:
    try:
        build_optim_wrapper(model, config(case))
    except ValueError as error:
        assert re.search(STILL_WRONG, str(error)), error  # noqa: PT017


def compare(case: Case, model: Any, wrapper: Any) -> None:
    named = list(model.named_parameters())
    index = {id(p): i for i, (_, p) in enumerate(named)}
    groups = wrapper.optimizer.param_groups
    ours = {index[id(p)]: g for g in groups for p in g["params"]}
    theirs = {
        i: case["kinds"][kind]
        for members, kind in case["groups"]
        for i in (members if isinstance(members, list) else [members])
    }
    assert sorted(ours) == sorted(theirs)
    assert sum(len(g["params"]) for g in groups) == len(ours)
    for i, options in theirs.items():
        expected = {k: v for k, v in options.items() if k not in USED_UP}
        assert {k: ours[i].get(k) for k in expected} == expected, named[i][0]
    for group in groups:
        assert [named[index[id(p)]][0] for p in group["params"]] == group["param_names"]
    base = wrapper.base_param_settings
    if base is not None:
        assert {k: base[k] for k in case["base"]} == case["base"]

"""Parameter groups: rules by hand, what is warned of, and classes of one's own."""

import warnings
from typing import ClassVar

import pytest
import torch
from torch import nn

from loopwright.optim import (
    DefaultOptimWrapperConstructor,
    build_optim_wrapper,
    get_default_optimizer_params,
    param_groups,
)

ADAMW = {"type": "AdamW", "lr": 1.0, "weight_decay": 0.1}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4)
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(4, 2)


def options(model: nn.Module, **paramwise) -> dict[str, tuple[float, float]]:
    plan = param_groups(model, {"optimizer": ADAMW, "paramwise_cfg": paramwise})
    return {
        name: (group.get("lr", 1.0), group.get("weight_decay", 0.1))
        for group in plan.groups
        for name in group["param_names"]
    }


def rules(model: nn.Module, **paramwise) -> dict[str, str]:
    plan = param_groups(model, {"optimizer": ADAMW, "paramwise_cfg": paramwise})
    return {decision.name: decision.rule for decision in plan.decisions}


def findings(model: nn.Module, **paramwise) -> list[str]:
    return param_groups(model, {"optimizer": ADAMW, "paramwise_cfg": paramwise}).findings


def test_the_longest_custom_key_wins_and_switches_all_other_rules_off():
    found = options(
        Net(),
        norm_decay_mult=0.0,
        bias_lr_mult=3.0,
        custom_keys={"o": {"lr_mult": 0.5}, "norm": {"lr_mult": 0.1}},
    )
    assert found["norm.weight"] == (0.1, 0.1)
    assert found["depthwise.bias"] == (3.0, 0.1)
    assert found["head.bias"] == (3.0, 0.1)


def test_general_rules_come_in_order_norm_bias_depthwise_flat():
    found = options(
        Net(), norm_decay_mult=2.0, bias_decay_mult=3.0, dwconv_decay_mult=4.0, flat_decay_mult=5.0
    )
    assert found["norm.bias"][1] == pytest.approx(0.2)
    assert found["head.bias"][1] == found["depthwise.bias"][1] == pytest.approx(0.3)
    assert found["depthwise.weight"][1] == pytest.approx(0.4)
    assert found["scale"][1] == pytest.approx(0.5)
    assert found["stem.weight"][1] == 0.1


def test_the_plan_says_which_rule_decided():
    said = rules(Net(), norm_decay_mult=0.0, custom_keys={"head": {"lr_mult": 10}})
    assert said["head.bias"] == "custom_keys['head']"
    assert said["norm.weight"] == "norm_decay_mult"
    assert said["stem.weight"] == "the optimizer's own"


def test_groups_are_as_few_as_the_options_allow():
    wrapper = build_optim_wrapper(
        Net(),
        {
            "optimizer": ADAMW,
            "paramwise_cfg": {
                "norm_decay_mult": 0.0,
                "custom_keys": {"head": {"decay_mult": 0.0}, "stem": {"lr_mult": 1.0}},
            },
        },
    )
    assert [len(group["params"]) for group in wrapper.optimizer.param_groups] == [5, 4]


def test_frozen_parameters_are_left_out_where_there_are_rules():
    model = Net()
    model.stem.requires_grad_(False)
    assert "stem.weight" not in options(model, norm_decay_mult=0.0)
    assert rules(model, norm_decay_mult=0.0)["stem.weight"] == "frozen"
    assert "stem.weight" in options(model)


def test_a_shared_parameter_is_taken_once():
    model = nn.ModuleDict({"embed": nn.Linear(2, 3), "head": nn.Linear(2, 3)})
    model["head"].weight = model["embed"].weight
    assert options(model, custom_keys={"bias": {"decay_mult": 0.0}})["embed.weight"] == (1.0, 0.1)


def test_a_shared_parameter_with_two_wills_is_named():
    model = nn.ModuleDict({"embed": nn.Linear(2, 3), "head": nn.Linear(2, 3)})
    model["head"].weight = model["embed"].weight
    rule = {"custom_keys": {"head": {"lr_mult": 0.1}}}
    with pytest.raises(ValueError, match=r"embed\.weight is shared.*bypass_duplicate=True"):
        options(model, **rule)
    assert options(model, **rule, bypass_duplicate=True)["embed.weight"] == (1.0, 0.1)


def test_options_of_ones_own_are_passed_through():
    plan = param_groups(
        Net(),
        {
            "optimizer": {"type": "LARS", "lr": 1.0},
            "paramwise_cfg": {"custom_keys": {"norm": {"lars_exclude": True, "eta": 0.5}}},
        },
    )
    group = plan.groups[1]
    assert (group["lars_exclude"], group["eta"]) == (True, 0.5)
    assert "lr_mult" not in group


def test_an_rms_norm_is_a_norm():
    assert options(nn.Sequential(nn.RMSNorm(4)), norm_decay_mult=0.0)["0.weight"][1] == 0.0


def test_an_attribute_called_module_does_not_hide_the_rest():
    model = nn.Module()
    model.module, model.other = nn.Linear(2, 2), nn.Linear(2, 2)
    wrapper = build_optim_wrapper(model, {"optimizer": ADAMW})
    assert len(wrapper.optimizer.param_groups[0]["params"]) == 4


def test_wrappers_around_a_model_are_looked_through():
    wrapper = build_optim_wrapper(nn.DataParallel(nn.Linear(2, 2)), {"optimizer": ADAMW})
    assert wrapper.optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


def test_a_key_that_matches_nothing_names_the_nearest():
    (message,) = findings(Net(), custom_keys={"depth_wise": {"lr_mult": 0.1}})
    assert "custom_keys['depth_wise'] is in no parameter's name" in message
    assert "depthwise" in message


def test_a_key_that_longer_ones_shadow_is_told_so():
    (message,) = findings(Net(), custom_keys={"head": {}, "head.weight": {}, "head.bias": {}})
    assert message.startswith("paramwise_cfg.custom_keys['head'] decides nothing: 'head.weight'")


def test_a_rule_that_decides_nothing_is_told():
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    assert findings(model, norm_decay_mult=0.0, bias_lr_mult=2.0) == [
        "paramwise_cfg.bias_lr_mult decides nothing in this model",
        "paramwise_cfg.norm_decay_mult decides nothing in this model",
    ]


def test_a_misspelt_option_names_the_nearest():
    (message,) = findings(Net(), custom_keys={"head": {"decay_multi": 0.0}})
    assert message.endswith("did you mean 'decay_mult'?")


def test_findings_are_warnings_when_the_wrapper_is_built():
    cfg = {"optimizer": ADAMW, "paramwise_cfg": {"custom_keys": {"neck": {"lr_mult": 0.1}}}}
    with pytest.warns(UserWarning, match="is in no parameter's name"):
        build_optim_wrapper(Net(), cfg)


def test_a_misspelt_rule_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"'norm_decay_mul'; did you mean 'norm_decay_mult'"):
        options(Net(), norm_decay_mul=0.0)


def test_a_decay_multiplier_needs_a_decay():
    cfg = {"optimizer": {"type": "AdamW", "lr": 1.0}}
    for rule in ({"bias_decay_mult": 0.0}, {"custom_keys": {"head": {"decay_mult": 0.0}}}):
        with pytest.raises(ValueError, match=r"weight_decay, which is not given"):
            param_groups(Net(), {**cfg, "paramwise_cfg": rule})


def test_a_flat_multiplier_without_a_decay_is_told_to_do_nothing():
    cfg = {"optimizer": {"type": "AdamW", "lr": 1.0}, "paramwise_cfg": {"flat_decay_mult": 0.0}}
    assert "flat_decay_mult does nothing" in param_groups(Net(), cfg).findings[0]


def test_the_optimizers_default_lr_counts_where_none_is_given():
    cfg = {"optimizer": {"type": "AdamW"}, "paramwise_cfg": {"bias_lr_mult": 2.0}}
    plan = param_groups(nn.Linear(2, 2), cfg)
    assert [group["lr"] for group in plan.groups] == pytest.approx([1e-3, 2e-3])


@pytest.mark.parametrize("wrong", [{"custom_keys": ["head"]}, {"custom_keys": {"head": 0.1}}])
def test_custom_keys_that_are_no_dicts_are_refused(wrong):
    with pytest.raises(TypeError, match="custom_keys"):
        options(Net(), **wrong)


def test_a_config_is_never_changed():
    cfg = {"optimizer": dict(ADAMW), "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 0.1}}}}
    build_optim_wrapper(Net(), cfg)
    assert cfg == {
        "optimizer": ADAMW,
        "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 0.1}}},
    }


class HeadsFirst(DefaultOptimWrapperConstructor):
    """A user's own: what ends in `head` learns ten times as fast, the rest by the rules."""

    seen: ClassVar[list[str]] = []

    def add_params(self, params, module, prefix="", is_dcn_module=None):
        self.seen.append(prefix)
        if prefix.endswith("head"):
            for param in module.parameters():
                params.append({"params": param, "lr": self.base_lr * 10})
        else:
            super().add_params(params, module, prefix, is_dcn_module)


def test_a_constructor_of_ones_own_is_asked_for_every_module():
    model = Net()
    wrapper = HeadsFirst({"optimizer": ADAMW}, {"norm_decay_mult": 0.0})(model)
    fast = [g for g in wrapper.optimizer.param_groups if g["lr"] == 10.0]
    assert [g["param_names"] for g in fast] == [["head.weight", "head.bias"]]
    assert {"", "stem", "norm", "depthwise", "head"} <= set(HeadsFirst.seen)


def test_a_constructor_of_ones_own_may_be_given_as_a_class():
    cfg = {"optimizer": ADAMW, "constructor": HeadsFirst, "paramwise_cfg": {"norm_decay_mult": 0.0}}
    assert len(build_optim_wrapper(Net(), cfg).optimizer.param_groups) == 3


def test_a_constructor_that_is_called_without_an_optimizer_says_so():
    with pytest.raises(ValueError, match="needs `optimizer`"):
        DefaultOptimWrapperConstructor({"type": "OptimWrapper"})
    with pytest.raises(TypeError, match="must be a dict"):
        DefaultOptimWrapperConstructor("SGD")


# -- detectron2's ------------------------------------------------------------------------------


def test_overrides_by_leaf_come_last():
    overrides = {"weight": {"weight_decay": 0.5}}
    groups = get_default_optimizer_params(
        Net(),
        base_lr=1.0,
        weight_decay=0.1,
        weight_decay_norm=0.0,
        bias_lr_factor=2.0,
        weight_decay_bias=0.0,
        lr_factor_func=lambda name: 0.1 if name.startswith("head") else 1.0,
        overrides=overrides,
    )
    found = {n: (g["lr"], g["weight_decay"]) for g in groups for n in g["param_names"]}
    assert found["head.weight"] == (0.1, 0.5)
    assert found["head.bias"] == (2.0, 0.0)
    assert found["norm.weight"] == (1.0, 0.5)
    assert found["scale"] == (1.0, 0.1)
    assert overrides == {"weight": {"weight_decay": 0.5}}


def test_frozen_and_shared_parameters_are_taken_once_or_not():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    model["a"].bias.requires_grad_(False)
    (group,) = get_default_optimizer_params(model)
    assert group["param_names"] == ["a.weight", "b.bias"]


def test_a_factor_needs_something_to_multiply():
    with pytest.raises(ValueError, match="bias_lr_factor"):
        get_default_optimizer_params(Net(), bias_lr_factor=2.0)
    with pytest.raises(ValueError, match="lr_factor_func"):
        get_default_optimizer_params(Net(), lr_factor_func=lambda name: 1.0)
    with pytest.raises(ValueError, match="by arguments or by overrides"):
        get_default_optimizer_params(Net(), weight_decay_bias=0.0, overrides={"bias": {}})


def test_a_plan_warns_of_nothing_by_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert findings(Net(), custom_keys={"neck": {}})


# -- where and whose ---------------------------------------------------------------------------


def test_an_error_says_where_it_was_written(tmp_path):
    from loopwright.config import Config

    path = tmp_path / "model.py"
    path.write_text(
        "optim_wrapper = dict(\n"
        "    optimizer=dict(type='AdamW', lr=0.1),\n"
        "    paramwise_cfg=dict(norm_decay_mul=0.0))\n"
    )
    cfg = Config.fromfile(str(path)).optim_wrapper
    with pytest.raises(ValueError, match=r"did you mean 'norm_decay_mult'.*model\.py:3\)"):
        build_optim_wrapper(Net(), cfg)


def test_a_librarys_name_means_ours_of_that_name():
    cfg = {"optimizer": {**ADAMW, "type": "mmdet.AdamW"}, "constructor": "mmyolo.HeadsFirst"}
    with pytest.raises(KeyError, match="HeadsFirst"):
        build_optim_wrapper(Net(), cfg)
    cfg["constructor"] = "mmengine.DefaultOptimWrapperConstructor"
    assert type(build_optim_wrapper(Net(), cfg).optimizer) is torch.optim.AdamW


@pytest.mark.parametrize(
    ("paramwise", "message"),
    [
        ({"bias_lr_mult": "2"}, r"paramwise_cfg\.bias_lr_mult must be a number, got '2'"),
        (
            {"custom_keys": {"0": {"decay_mult": "0"}}},
            r"paramwise_cfg\.custom_keys\['0'\]\.decay_mult must be a number",
        ),
        ({"bypass_duplicate": "no"}, r"paramwise_cfg\.bypass_duplicate must be True or False"),
        (["norm_decay_mult"], "paramwise_cfg must be a dict"),
    ],
)
def test_a_rule_that_is_no_number_is_named(paramwise, message):
    cfg = {"optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.1}, "paramwise_cfg": paramwise}
    with pytest.raises(TypeError, match=message):
        build_optim_wrapper(nn.Linear(2, 2), cfg)


def test_a_negative_multiplier_is_told():
    cfg = {"optimizer": {"type": "SGD", "lr": 0.1}, "paramwise_cfg": {"bias_lr_mult": -1.0}}
    with pytest.warns(UserWarning, match=r"bias_lr_mult is -1\.0: a negative rate"):
        build_optim_wrapper(nn.Linear(2, 2), cfg)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("AdamW", "optimizer must be a dict such as"),
        ({"type": "AdamW", "lr": "1e-3"}, r"optimizer\.lr must be a number, got '1e-3'"),
    ],
)
def test_an_optimizer_that_cannot_be_meant_is_refused(optimizer, message):
    with pytest.raises(TypeError, match=message):
        build_optim_wrapper(nn.Linear(2, 2), {"optimizer": optimizer})

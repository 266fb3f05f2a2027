"""Layer-wise lr decay and the libraries' constructors, on small models by hand."""

import pytest
import torch
from torch import nn

from loopwright.optim import build_optim_wrapper, layer_ids, param_groups

ADAMW = {"type": "AdamW", "lr": 1.0, "weight_decay": 0.1}


def plan(model: nn.Module, constructor: str, optimizer=ADAMW, **paramwise):
    cfg = {"optimizer": optimizer, "constructor": constructor, "paramwise_cfg": paramwise}
    return param_groups(model, cfg)


def by_name(found) -> dict[str, dict]:
    return {name: group for group in found.groups for name in group["param_names"]}


class Backbone(nn.Module):
    def __init__(self, blocks: str) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 2))
        self.pos_embed = nn.Parameter(torch.zeros(1, 3, 2))
        self.patch_embed = nn.Conv2d(3, 2, 2)
        self.add_module(blocks, nn.ModuleList(nn.Linear(2, 2) for _ in range(2)))
        self.norm = nn.LayerNorm(2)


class Model(nn.Module):
    def __init__(self, blocks: str = "blocks", kind: type = Backbone) -> None:
        super().__init__()
        self.backbone = kind(blocks)
        self.head = nn.Linear(2, 2)


def test_a_vit_learns_slower_the_deeper_a_layer_lies():
    found = by_name(
        plan(Model(), "LayerDecayOptimizerConstructor_ViT", num_layers=2, layer_decay_rate=0.5)
    )
    assert found["backbone.patch_embed.weight"]["lr"] == 0.5**3
    assert found["backbone.blocks.0.weight"]["lr"] == 0.5**2
    assert found["backbone.blocks.1.weight"]["lr"] == 0.5
    assert found["head.weight"]["lr"] == found["backbone.norm.weight"]["lr"] == 1.0
    assert found["backbone.pos_embed"]["weight_decay"] == 0.0
    assert found["backbone.cls_token"]["weight_decay"] == 0.1
    assert found["head.bias"]["group_name"] == "layer_3_no_decay"


def test_custom_keys_beside_a_layer_decay_are_told_to_mean_nothing():
    found = plan(
        Model("layers"),
        "LayerDecayOptimWrapperConstructor",
        num_layers=2,
        layer_decay_rate=0.5,
        custom_keys={"norm": {"decay_mult": 0.0}},
    )
    assert "custom_keys means nothing" in found.findings[0]


def test_a_rate_or_number_of_layers_that_is_missing_is_named():
    with pytest.raises(ValueError, match=r"needs paramwise_cfg\.layer_decay_rate"):
        plan(Model(), "LayerDecayOptimizerConstructor_ViT", num_layers=2)
    with pytest.raises(ValueError, match=r"needs paramwise_cfg\.num_layers"):
        plan(Model(), "LayerDecayOptimizerConstructor_ViT", layer_decay_rate=0.5)


class BEiT(Backbone):
    pass


class MViT(Backbone):
    pass


@pytest.mark.parametrize(("kind", "blocks"), [(BEiT, "layers"), (MViT, "blocks")])
def test_a_backbone_is_known_by_its_class(kind: type, blocks: str):
    found = by_name(
        plan(
            Model(blocks, kind),
            "LearningRateDecayOptimizerConstructor",
            num_layers=2,
            decay_rate=0.5,
            decay_type="layer_wise",
        )
    )
    assert found[f"backbone.{blocks}.1.weight"]["lr"] == 0.5
    assert found["backbone.pos_embed"]["weight_decay"] == 0.1


def test_an_unknown_backbone_is_told_what_there_is():
    with pytest.raises(NotImplementedError, match="get_layer_depth"):
        plan(Model(), "LearningRateDecayOptimizerConstructor", num_layers=2, decay_rate=0.5)


class Deep(Model):
    def get_layer_depth(self, name: str) -> tuple[int, int]:
        return (0 if name.startswith("backbone") else 2), 3


def test_a_model_may_say_itself_how_deep_a_parameter_lies():
    found = by_name(
        plan(
            Deep(),
            "LearningRateDecayOptimWrapperConstructor",
            layer_decay_rate=0.5,
            norm_decay_mult=0.0,
            bias_decay_mult=0.5,
            flat_decay_mult=0.2,
            custom_keys={"head.bias": {"decay_mult": 3.0}},
        )
    )
    assert found["backbone.blocks.0.weight"]["lr"] == 0.25
    assert found["head.weight"]["lr"] == 1.0
    assert found["backbone.norm.bias"]["weight_decay"] == 0.0
    assert found["backbone.blocks.0.bias"]["weight_decay"] == 0.05
    assert found["head.bias"]["weight_decay"] == pytest.approx(0.3)


def test_an_lr_multiplier_beside_a_layer_decay_is_told_to_mean_nothing():
    found = plan(
        Deep(),
        "LearningRateDecayOptimWrapperConstructor",
        layer_decay_rate=0.5,
        custom_keys={"head": {"lr_mult": 9.0}},
    )
    assert found.findings == ["lr_mult in custom_keys means nothing beside a layer decay"]
    assert by_name(found)["head.weight"]["lr"] == 1.0


def test_a_model_that_does_not_say_is_told_what_is_asked():
    with pytest.raises(NotImplementedError, match="get_layer_depth"):
        plan(Model(), "LearningRateDecayOptimWrapperConstructor", layer_decay_rate=0.5)


def test_a_model_type_among_the_options_means_mmselfsups_rules():
    optimizer = {**ADAMW, "model_type": "vit", "layer_decay_rate": 0.5}
    found = by_name(
        plan(
            Model("layers"),
            "LearningRateDecayOptimWrapperConstructor",
            optimizer,
            custom_keys={"bias": {"decay_mult": 0.0}, "head.bias": {"decay_mult": 1.0}},
        )
    )
    assert found["backbone.layers.0.weight"]["lr"] == 0.25
    assert found["head.bias"]["weight_decay"] == 0.0
    with pytest.raises(ValueError, match="vit, swin or mixmim"):
        plan(
            Model(),
            "mmselfsup.LearningRateDecayOptimWrapperConstructor",
            {**ADAMW, "model_type": "resnet"},
        )


@pytest.mark.parametrize(
    ("rule", "name", "layer"),
    [
        (lambda n: layer_ids.convnext_layers(n, 12), "backbone.downsample_layers.3.0.weight", 12),
        (lambda n: layer_ids.convnext_layers(n, 12), "backbone.stages.2.7.gamma", 5),
        (lambda n: layer_ids.convnext_layers(n, 12), "head.weight", 13),
        (lambda n: layer_ids.convnext_stages(n, 4), "backbone.stages.2.7.gamma", 3),
        (lambda n: layer_ids.convnext_stages(n, 4), "backbone.downsample_layers.3.0.weight", 0),
        (lambda n: layer_ids.swin(n, (2, 2)), "backbone.stages.1.blocks.0.norm1.bias", 3),
        (lambda n: layer_ids.swin(n, (2, 2)), "backbone.stages.0.downsample.norm.weight", 2),
        (lambda n: layer_ids.swin(n, (2, 2)), "backbone.norm3.weight", 5),
        (lambda n: layer_ids.swin(n, (2, 2)), "backbone.patch_embed.norm.weight", 0),
        (lambda n: layer_ids.mixmim(n, (2, 2)), "backbone.patch_embed.projection.weight", -1),
        (lambda n: layer_ids.mixmim(n, (2, 2)), "backbone.layers.1.blocks.1.norm1.bias", 3),
        (lambda n: layer_ids.mixmim(n, (2, 2)), "backbone.layers.0.downsample.norm.bias", 1),
        (lambda n: layer_ids.mixmim(n, (2, 2)), "head.weight", 4),
        (lambda n: layer_ids.internimage(n, 4, (2, 2)), "encoder.levels.1.blocks.0.gamma1", 3),
        (lambda n: layer_ids.internimage(n, 4, (2, 2)), "encoder.levels.0.downsample.conv", 2),
        (lambda n: layer_ids.internimage(n, 4, (2, 2)), "backbone.levels.1.blocks.0.gamma1", 5),
    ],
)
def test_layers_by_name(rule, name: str, layer: int):
    assert rule(name) == layer


# -- libraries ---------------------------------------------------------------------------------


class Convs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)


def test_yolo_has_three_groups_of_which_the_first_decays():
    sgd = {"type": "SGD", "lr": 0.1, "weight_decay": 0.01, "batch_size_per_gpu": 128}
    wrapper = build_optim_wrapper(
        Convs(), {"optimizer": sgd, "constructor": "YOLOv5OptimizerConstructor"}
    )
    groups = wrapper.optimizer.param_groups
    assert [g["param_names"] for g in groups] == [
        ["conv.weight", "fc.weight"],
        ["bn.weight"],
        ["conv.bias", "bn.bias", "fc.bias"],
    ]
    assert [g["weight_decay"] for g in groups] == [0.02, 0, 0]


def test_yolo_says_what_it_leaves_out():
    model = Convs()
    model.gamma = nn.Parameter(torch.ones(1))
    cfg = {"optimizer": {"type": "SGD", "lr": 0.1}, "constructor": "YOLOv7OptimWrapperConstructor"}
    assert "1 other parameters stay as they are: gamma" in param_groups(model, cfg).findings[0]


def test_tsm_has_seven_groups():
    found = plan(Convs(), "TSMOptimWrapperConstructor", fc_lr5=True)
    assert [(len(g["params"]), g["lr"], g["weight_decay"]) for g in found.groups] == [
        (1, 1.0, 0.1),
        (1, 2.0, 0.0),
        (0, 1.0, 0.1),
        (0, 2.0, 0.0),
        (2, 1.0, 0.0),
        (1, 5.0, 0.1),
        (1, 10.0, 0.0),
    ]
    with pytest.raises(ValueError, match="not LayerNorm"):
        plan(nn.Sequential(nn.LayerNorm(2)), "TSMOptimWrapperConstructor", fc_lr5=True)


def test_all_keys_in_a_name_multiply_for_swin():
    found = by_name(
        plan(
            Convs(),
            "SwinOptimWrapperConstructor",
            conv={"lr_mult": 0.5},
            bias={"lr_mult": 0.5, "decay_mult": 0.0},
        )
    )
    assert (found["conv.bias"]["lr"], found["conv.bias"]["weight_decay"]) == (0.25, 0.0)
    with pytest.raises(TypeError, match="must be a dict"):
        plan(Convs(), "SwinOptimWrapperConstructor", conv=0.5)


def test_forced_defaults_apply_on_top_of_custom_keys():
    model = Convs()
    model.fc.requires_grad_(False)
    found = by_name(
        plan(
            model,
            "ForceDefaultOptimWrapperConstructor",
            bias_decay_mult=0.0,
            force_default_settings=True,
            custom_keys={"conv": {"lr_mult": 0.5}},
        )
    )
    assert (found["conv.bias"]["lr"], found["conv.bias"]["weight_decay"]) == (0.5, 0.0)
    assert "fc.weight" in found

import pytest
import torch
from torch import nn

from loopwright.optim import build_optim_wrapper
from loopwright.registry import MODELS
from loopwright.vision.models.resnet import ResNet
from loopwright.vision.models.vit import VisionTransformer, sincos_positions

TINY = {"img_size": 8, "patch_size": 4, "in_channels": 1, "embed_dims": 8, "num_heads": 2}


def vit(**settings):
    return VisionTransformer(**{**TINY, "num_layers": 2, **settings})


@pytest.mark.parametrize(
    ("out_type", "shape"),
    [("cls_token", (3, 8)), ("avg", (3, 8)), ("featmap", (3, 8, 2, 2)), ("raw", (3, 5, 8))],
)
def test_a_transformer_gives_what_is_asked_for(out_type, shape):
    outs = vit(out_type=out_type, out_indices=(0, 1))(torch.zeros(3, 1, 8, 8))
    assert [tuple(out.shape) for out in outs] == [shape, shape]


def test_a_feature_map_has_its_patches_in_place():
    net = vit(out_type="featmap", num_layers=1, final_norm=False)
    image = torch.rand(1, 1, 8, 8)
    raw = vit(out_type="raw", num_layers=1, final_norm=False)
    raw.load_state_dict(net.state_dict())
    patch = 1 * 2 + 0  # row 1, column 0
    assert torch.equal(net(image)[0][0, :, 1, 0], raw(image)[0][0, 1 + patch])


def test_another_image_size_resizes_the_positions():
    assert vit(out_type="featmap")(torch.zeros(1, 1, 12, 16))[0].shape == (1, 8, 3, 4)


def test_sizes_by_name_and_wrong_ones():
    assert VisionTransformer("base", num_layers=1, embed_dims=16, num_heads=2).embed_dims == 16
    with pytest.raises(ValueError, match="did you mean 'small'"):
        VisionTransformer("smal")
    with pytest.raises(ValueError, match="must be a multiple of num_heads"):
        vit(embed_dims=9)
    with pytest.raises(ValueError, match="not among 2 blocks"):
        vit(out_indices=2)


def test_layer_depths_follow_the_names():
    net = vit()
    depth = {name: net.get_layer_depth(name)[0] for name, _ in net.named_parameters()}
    assert depth["cls_token"] == depth["pos_embed"] == 0
    assert depth["patch_embed.projection.weight"] == 0
    assert (depth["blocks.0.ln1.weight"], depth["blocks.1.attn.qkv.bias"]) == (1, 2)
    assert depth["ln1.weight"] == 3
    assert net.get_layer_depth("head.fc.weight", "backbone.") == (3, 4)


def model(**backbone):
    return MODELS.build(
        {
            "type": "ImageClassifier",
            "backbone": {"type": "VisionTransformer", **TINY, "num_layers": 12, **backbone},
            "head": {"type": "LinearClsHead", "num_classes": 2, "in_channels": 8},
        }
    )


def lr_by_name(net, cfg):
    wrapper = build_optim_wrapper(net, cfg)
    return {
        name: group["lr"]
        for group in wrapper.optimizer.param_groups
        for name in group["param_names"]
    }


def test_the_documents_layer_decay_finds_every_layer():
    found = lr_by_name(
        model(),
        {
            "optimizer": {"type": "AdamW", "lr": 6e-5, "betas": (0.9, 0.999), "weight_decay": 0.05},
            "constructor": "LayerDecayOptimizerConstructor_ViT",
            "paramwise_cfg": {"num_layers": 12, "layer_decay_rate": 0.9},
        },
    )
    assert found["backbone.cls_token"] == pytest.approx(6e-5 * 0.9**13)
    assert found["backbone.blocks.0.attn.qkv.weight"] == pytest.approx(6e-5 * 0.9**12)
    assert found["backbone.blocks.11.ffn.fc1.weight"] == pytest.approx(6e-5 * 0.9)
    assert found["head.fc.weight"] == pytest.approx(6e-5)


def test_layer_decay_by_the_models_own_depths():
    found = lr_by_name(
        model(layers_name="layers", num_layers=2),
        {
            "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.05},
            "constructor": "LearningRateDecayOptimWrapperConstructor",
            "paramwise_cfg": {"layer_decay_rate": 0.5},
        },
    )
    assert found["backbone.pos_embed"] == 0.125
    assert found["backbone.layers.1.ln2.weight"] == 0.5
    assert found["head.fc.bias"] == 1.0


def test_frozen_stages_learn_nothing():
    net = vit(frozen_stages=1)
    learning = {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert learning == {"blocks", "ln1"}
    assert not any(p.requires_grad for p in net.blocks[0].parameters())


def test_sine_positions_differ_by_place_and_the_class_token_has_none():
    positions = sincos_positions(16, (3, 2))[0]
    assert torch.equal(positions[0], torch.zeros(16))
    assert len(torch.unique(positions, dim=0)) == 7
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions(6, (2, 2))


@pytest.mark.parametrize(("depth", "width"), [(18, 8 * 8), (50, 8 * 8 * 4)])
def test_a_resnet_gives_its_stages(depth, width):
    net = ResNet(depth, base_channels=8, out_indices=(0, 3))
    outs = net(torch.zeros(2, 3, 32, 32))
    assert outs[1].shape == (2, width, 1, 1)
    assert outs[0].shape[-2:] == (8, 8)
    assert net.channels[-1] == width


def test_a_resnet_has_everybodys_names():
    names = set(ResNet(18, base_channels=4).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.1.bias"} <= names
    assert len(names) == 120  # torchvision's resnet18 without its fc


def test_simclrs_rules_find_every_norm_and_bias():
    net = ResNet(18, base_channels=4)
    rule = {"decay_mult": 0, "lars_exclude": True}
    custom = dict.fromkeys(("bn", "bias", "downsample.1"), rule)
    wrapper = build_optim_wrapper(
        net,
        {
            "optimizer": {"type": "LARS", "lr": 0.3, "momentum": 0.9, "weight_decay": 1e-6},
            "paramwise_cfg": {"custom_keys": custom},
        },
    )
    excluded = {
        name
        for group in wrapper.optimizer.param_groups
        if group.get("lars_exclude")
        for name in group["param_names"]
    }
    norms = {
        f"{name}.{leaf}"
        for name, module in net.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for leaf in ("weight", "bias")
    }
    assert excluded == norms


def test_frozen_norms_keep_their_statistics():
    net = ResNet(10, base_channels=4, frozen_stages=1).train()
    assert not net.bn1.training
    assert not net.layer1[0].bn1.training
    assert net.layer2[0].bn1.training


def test_wrong_depths_and_stems_are_errors():
    with pytest.raises(ValueError, match="depth must be one of 10, 18, 34, 50, 101, got 20"):
        ResNet(20)
    with pytest.raises(ValueError, match="stem must be"):
        ResNet(18, stem="big")


def test_a_vit_whose_branches_start_at_nothing_passes_its_tokens_through():
    net = vit(num_layers=3, out_type="raw", final_norm=False, residual_init=0.0)
    image = torch.rand(2, 1, 8, 8)
    assert torch.equal(net(image)[0], net.embed(image)[0])

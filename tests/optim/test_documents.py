"""The optimizer blocks of the documents, on real ViT and ResNet modules."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from loopwright.optim import LARS, build_optim_wrapper, build_param_scheduler, param_groups

LAYER_DECAY = {
    "optimizer": {"type": "AdamW", "lr": 6e-5, "betas": (0.9, 0.999), "weight_decay": 0.05},
    "constructor": "LayerDecayOptimizerConstructor_ViT",
    "paramwise_cfg": {"num_layers": 12, "layer_decay_rate": 0.9},
}
RTMDET = {
    "type": "OptimWrapper",
    "optimizer": {"type": "AdamW", "lr": 4e-3, "weight_decay": 0.05},
    "paramwise_cfg": {"norm_decay_mult": 0, "bias_decay_mult": 0, "bypass_duplicate": True},
}
MAE = {
    "type": "OptimWrapper",
    "optimizer": {
        "type": "AdamW",
        "lr": 1.5e-4 * 4096 / 256,
        "betas": (0.9, 0.95),
        "weight_decay": 0.05,
    },
    "paramwise_cfg": {
        "custom_keys": {
            "ln": {"decay_mult": 0.0},
            "bias": {"decay_mult": 0.0},
            "pos_embed": {"decay_mult": 0.0},
            "mask_token": {"decay_mult": 0.0},
            "cls_token": {"decay_mult": 0.0},
        }
    },
}
SIMCLR = {
    "type": "OptimWrapper",
    "optimizer": {"type": "LARS", "lr": 0.3, "momentum": 0.9, "weight_decay": 1e-6},
    "paramwise_cfg": {
        "custom_keys": {
            "bn": {"decay_mult": 0, "lars_exclude": True},
            "bias": {"decay_mult": 0, "lars_exclude": True},
            "downsample.1": {"decay_mult": 0, "lars_exclude": True},
        }
    },
}


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.ffn = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.ffn(self.ln2(x))


class ViT(nn.Module):
    def __init__(self, width: int = 8, depth: int = 12) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, width))
        self.patch_embed = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.ln1 = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch_embed(image).flatten(2).transpose(1, 2) + 0 * self.mask_token
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.ln1(x)[:, 0]


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn1(self.conv1(x)) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Residual(4, 8), Residual(8, 8))

    def forward(self, image: Tensor) -> Tensor:
        return self.layer1(torch.relu(self.bn1(self.conv1(image)))).mean((2, 3))


class Classifier(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.backbone(image))


def learns(model: nn.Module, cfg: dict, steps: int = 8) -> None:
    """The loss falls, and every trained parameter with a gradient moves."""
    torch.manual_seed(0)
    wrapper = build_optim_wrapper(model, cfg)
    image, target = torch.randn(6, 3, 8, 8), torch.arange(6) % 3
    before = [p.detach().clone() for p in model.parameters()]
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(image), target)
        wrapper.update_params(loss)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert any(not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def decays(cfg: dict, model: nn.Module) -> dict[str, float]:
    plan = param_groups(model, cfg)
    return {n: g.get("weight_decay") for g in plan.groups for n in g["param_names"]}


def test_mae_spares_norms_biases_and_tokens():
    torch.manual_seed(0)
    model = Classifier(ViT(depth=2))
    found = decays(MAE, model)
    spared = {name for name, decay in found.items() if decay == 0.0}
    assert spared == {
        n for n in found if "ln" in n or "bias" in n or "token" in n or "pos_embed" in n
    }
    assert param_groups(model, MAE).findings == []
    assert len(param_groups(model, MAE).groups) == 2
    learns(model, MAE)


def test_simclr_excludes_norms_and_biases_from_lars():
    torch.manual_seed(0)
    model = Classifier(ResNet())
    groups = param_groups(model, SIMCLR).groups
    excluded = [n for g in groups if g.get("lars_exclude") for n in g["param_names"]]
    assert set(excluded) == {
        n for n, _ in model.named_parameters() if "bn" in n or "bias" in n or "downsample.1" in n
    }
    wrapper = build_optim_wrapper(model, SIMCLR)
    assert isinstance(wrapper.optimizer, LARS)
    assert len(groups) == 2
    learns(model, SIMCLR)


def test_layer_decay_makes_two_groups_a_layer():
    torch.manual_seed(0)
    model = Classifier(ViT())
    groups = param_groups(model, LAYER_DECAY).groups
    assert len(groups) == 2 * 14
    lr = {n: g["lr"] for g in groups for n in g["param_names"]}
    assert lr["head.weight"] == 6e-5
    assert lr["backbone.patch_embed.weight"] == pytest.approx(6e-5 * 0.9**13)
    assert lr["backbone.blocks.11.ffn.0.weight"] == pytest.approx(6e-5 * 0.9)
    learns(model, LAYER_DECAY)


def test_rtmdet_spares_norms_and_biases():
    torch.manual_seed(0)
    model = Classifier(ResNet())
    found = decays(RTMDET, model)
    assert {n for n, d in found.items() if d == 0} == {
        n for n in found if "bn" in n or "downsample.1" in n or n.endswith("bias")
    }
    learns(model, RTMDET)


def test_amp_is_one_word_away():
    torch.manual_seed(0)
    learns(Classifier(ResNet()), {**RTMDET, "type": "AmpOptimWrapper", "dtype": "bfloat16"})


def test_the_documents_schedule_over_many_groups():
    wrapper = build_optim_wrapper(Classifier(ViT()), LAYER_DECAY)
    warmup = {"type": "LinearLR", "start_factor": 1e-6, "by_epoch": False, "begin": 0, "end": 1500}
    cosine = {"type": "CosineAnnealingLR", "eta_min": 0.0, "T_max": 78500, "by_epoch": False}
    cfg = [warmup, {**cosine, "begin": 1500, "end": 80000}]
    schedulers = build_param_scheduler(cfg, wrapper, max_iters=80000, epoch_length=10)
    for _ in range(1499):
        for scheduler in schedulers:
            scheduler.step()
    assert wrapper.get_lr()["base_lr"][0] == pytest.approx(6e-5)


def test_on_timms_models_where_it_imports():
    try:
        import timm
    except Exception as error:
        pytest.skip(f"timm does not import: {error}")
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=3)
    resnet = timm.create_model("resnet18", num_classes=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model, cfg in ((vit, MAE), (vit, LAYER_DECAY), (resnet, SIMCLR), (resnet, RTMDET)):
            holder = nn.ModuleDict({"backbone": model})
            groups = build_optim_wrapper(holder, cfg).optimizer.param_groups
            assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))

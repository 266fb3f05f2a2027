"""Small trainable models and data sets for the tests of runs, in a user's own file."""

import torch
from torch import nn

from loopwright.evaluation import BaseMetric
from loopwright.model import BaseModel
from loopwright.registry import DATASETS, METRICS, MODELS


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(width, width)
        self.mlp = nn.Linear(width, width)

    def forward(self, x):
        return x + self.mlp(torch.relu(self.attn.qkv(self.norm1(x))))


class Backbone(nn.Module):
    """A transformer's names: cls_token, pos_embed, patch_embed, blocks."""

    def __init__(self, depth=12, width=4):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 17, width))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(1, width, 2, 2)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def forward(self, image):
        x = self.patch_embed.proj(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return x


@MODELS.register_module(force=True)
class ToySegmentor(BaseModel):
    """Logits of three classes for 8x8 images of one channel."""

    def __init__(self, depth=12):
        super().__init__()
        self.backbone = Backbone(depth)
        self.decode_head = nn.Conv2d(4, 3, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        tokens = self.backbone(inputs)[:, 1:].transpose(1, 2).reshape(len(inputs), 4, 4, 4)
        logits = nn.functional.interpolate(self.decode_head(tokens), size=8)
        if mode == "loss":
            return {"loss_seg": nn.functional.cross_entropy(logits, data_samples)}
        return logits.argmax(1) if mode == "predict" else logits


@DATASETS.register_module(force=True)
class ToyMasks(torch.utils.data.Dataset):
    """Random 8x8 images with masks of three classes."""

    metainfo = {"classes": ("paper", "ink", "stain")}

    def __init__(self, length=12):
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.rand(length, 1, 8, 8, generator=generator)
        self.masks = (self.inputs[:, 0] * 3).long().clamp(max=2)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return {"inputs": self.inputs[index], "data_samples": self.masks[index]}


@DATASETS.register_module(force=True)
class ToyClasses(ToyMasks):
    """The same images with a class each."""

    def __getitem__(self, index):
        return {"inputs": self.inputs[index], "data_samples": self.masks[index, 0, 0]}


@METRICS.register_module(force=True)
class PixelAccuracy(BaseMetric):
    def process(self, data_batch, data_samples):
        right = torch.stack(data_samples) == data_batch["data_samples"]
        self.results += right.flatten(1).float().mean(1).tolist()

    def compute_metrics(self, results):
        return {"aAcc": sum(results) / len(results)}


@MODELS.register_module(force=True)
class ToyResNet(BaseModel):
    """A ResNet's names with batch norm and a downsample branch; classifies."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.backbone.bn1 = nn.BatchNorm2d(4)
        self.backbone.downsample = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 3)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        x = torch.relu(self.backbone.bn1(self.backbone.conv1(inputs)))
        logits = self.head((x + self.backbone.downsample(x)).mean((2, 3)))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(logits, data_samples)}
        return logits.argmax(1) if mode == "predict" else logits

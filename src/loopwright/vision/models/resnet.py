"""ResNets with the names everybody uses: `conv1`, `bn1`, `layer1.0.downsample.1`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from loopwright.model.module import BaseModule
from loopwright.registry import MODELS


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a residual."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inplanes, planes * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a residual; four times as wide outside."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inplanes, planes * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def shortcut(inplanes: int, outplanes: int, stride: int) -> nn.Module | None:
    """A 1 x 1 convolution and a norm where a residual changes shape, else None."""
    if stride == 1 and inplanes == outplanes:
        return None
    return nn.Sequential(
        nn.Conv2d(inplanes, outplanes, 1, stride, bias=False), nn.BatchNorm2d(outplanes)
    )


DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


@MODELS.register_module()
class ResNet(BaseModule):
    """ResNet (He et al., 2016), as a backbone: a tuple of the outputs of `out_indices` (stages).

    `stem='small'` begins with one 3 x 3 convolution at full size, for small images.

    >>> import torch
    >>> net = ResNet(10, in_channels=1, base_channels=4, num_stages=2, stem="small")
    >>> net(torch.zeros(1, 1, 8, 8))[0].shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(
        self,
        depth: int = 18,
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 4,
        out_indices: int | Sequence[int] = -1,
        stem: str = "imagenet",
        zero_init_residual: bool = True,
        frozen_stages: int = -1,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if depth not in DEPTHS:
            raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth!r}")
        if stem not in ("imagenet", "small"):
            raise ValueError(f"stem must be 'imagenet' or 'small', got {stem!r}")
        block, counts = DEPTHS[depth]
        indices = [out_indices] if isinstance(out_indices, int) else out_indices
        self.out_indices = tuple(i + num_stages if i < 0 else i for i in indices)
        wide = stem == "imagenet"
        self.conv1 = nn.Conv2d(
            in_channels, base_channels, 7 if wide else 3, 2 if wide else 1, 3 if wide else 1,
            bias=False,
        )  # fmt: skip
        self.bn1 = nn.BatchNorm2d(base_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if wide else nn.Identity()
        self.num_stages = num_stages
        self.channels = []
        inplanes = base_channels
        for stage, count in enumerate(counts[:num_stages]):
            planes = base_channels * 2**stage
            blocks = []
            for number in range(count):
                blocks.append(block(inplanes, planes, 2 if stage and number == 0 else 1))
                inplanes = planes * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            self.channels.append(inplanes)
        self._start(zero_init_residual)
        self._freeze(frozen_stages)

    def _start(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if zero_init_residual and isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            if zero_init_residual and isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def _freeze(self, stages: int) -> None:
        self.frozen_stages = stages
        if stages < 0:
            return
        for part in (self.conv1, self.bn1, *self._stages()[:stages]):
            part.requires_grad_(False)

    def _stages(self) -> list[nn.Module]:
        return [getattr(self, f"layer{i + 1}") for i in range(self.num_stages)]

    def train(self, mode: bool = True) -> ResNet:
        """Frozen stages keep their statistics."""
        super().train(mode)
        if mode and self.frozen_stages >= 0:
            for part in (self.bn1, *self._stages()[: self.frozen_stages]):
                part.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        outs = []
        for number, stage in enumerate(self._stages()):
            x = stage(x)
            if number in self.out_indices:
                outs.append(x)
        return tuple(outs)

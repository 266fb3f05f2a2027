"""A small CSP backbone and a pyramid over it, after RTMDet's CSPNeXt and CSPNeXt-PAFPN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopwright.model.module import BaseModule
from loopwright.registry import MODELS
from loopwright.vision.models.common import ConvModule


def conv(in_channels: int, out_channels: int, size: int, stride: int = 1) -> ConvModule:
    """A convolution with norm and SiLU."""
    return ConvModule(in_channels, out_channels, size, stride=stride, act=nn.SiLU)


class Residual(nn.Module):
    """3 x 3, then a large depth-wise kernel, then 1 x 1, with a residual."""

    def __init__(self, channels: int, kernel_size: int = 5) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 3)
        self.depthwise = ConvModule(channels, channels, kernel_size, groups=channels, act=nn.SiLU)
        self.pointwise = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(self.depthwise(self.conv1(x)))


class CSPLayer(nn.Module):
    """Half of the channels through the blocks, half past them."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.main_conv = conv(in_channels, half, 1)
        self.short_conv = conv(in_channels, half, 1)
        self.blocks = nn.Sequential(*(Residual(half) for _ in range(blocks)))
        self.final_conv = conv(2 * half, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], 1)
        return self.final_conv(joined)


@MODELS.register_module()
class CSPNeXt(BaseModule):
    """Stages of stride 2, each a CSP layer; outputs of the last `out_stages` of them.

    >>> net = CSPNeXt(in_channels=1, widths=(8, 8, 16), blocks=1, out_stages=2)
    >>> [tuple(x.shape) for x in net(torch.zeros(1, 1, 16, 16))]
    [(1, 8, 4, 4), (1, 16, 2, 2)]
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: Sequence[int] = (24, 48, 96, 192),
        blocks: int = 1,
        out_stages: int = 3,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.stem = conv(in_channels, widths[0], 3)
        before = (widths[0], *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(conv(a, b, 3, 2), CSPLayer(b, b, blocks)) for a, b in zip(before, widths)
        )
        self.out_stages = out_stages

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        outs = []
        for stage in self.stages:
            x = stage(x)
            outs.append(x)
        return tuple(outs[-self.out_stages :])


@MODELS.register_module()
class CSPNeXtPAFPN(BaseModule):
    """Information down the pyramid and up again; every level comes out `out_channels` wide."""

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        blocks: int = 1,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        levels = range(len(in_channels) - 1)
        c = out_channels
        self.reduce_layers = nn.ModuleList(conv(width, c, 1) for width in in_channels)
        self.top_down_blocks = nn.ModuleList(CSPLayer(2 * c, c, blocks) for _ in levels)
        self.downsamples = nn.ModuleList(conv(c, c, 3, 2) for _ in levels)
        self.bottom_up_blocks = nn.ModuleList(CSPLayer(2 * c, c, blocks) for _ in levels)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        levels = [reduce(x) for reduce, x in zip(self.reduce_layers, feats, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            above = functional.interpolate(levels[i], size=levels[i - 1].shape[-2:])
            levels[i - 1] = self.top_down_blocks[i - 1](torch.cat([above, levels[i - 1]], 1))
        for i in range(len(levels) - 1):
            below = self.downsamples[i](levels[i])
            levels[i + 1] = self.bottom_up_blocks[i](torch.cat([below, levels[i + 1]], 1))
        return tuple(levels)

"""Semantic segmentation: a backbone, a pyramid, FCN and UPerNet heads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopwright.model.base import BaseModel
from loopwright.model.predictions import with_truth
from loopwright.registry import MODELS
from loopwright.vision.models.classifier import depth_of
from loopwright.vision.models.common import ConvModule, as_batch, column

MASK_KEYS = ("gt_sem_seg", "gt_seg_map", "mask", "masks")


def resized(x: Tensor, size: Any) -> Tensor:
    """(N, C, H, W) at another size, bilinearly."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


class SegHead(nn.Module):
    """What segmentation heads share: the last layer `conv_seg` and the loss."""

    def __init__(
        self,
        channels: int,
        num_classes: int,
        dropout_ratio: float = 0.1,
        ignore_index: int = 255,
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.loss_weight = loss_weight
        weight = None if class_weight is None else torch.tensor(class_weight)
        self.register_buffer("class_weight", weight, persistent=False)
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)
        nn.init.normal_(self.conv_seg.weight, std=0.01)

    def classify(self, x: Tensor) -> Tensor:
        """Logits (N, classes, h, w) of the head's last features."""
        logits: Tensor = self.conv_seg(self.dropout(x))
        return logits

    def losses(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """`loss_ce` at the masks' size and, to look at, `acc_seg` in per cent."""
        logits = resized(logits, masks.shape[-2:])
        weight: Any = self.class_weight
        loss = functional.cross_entropy(
            logits, masks, weight=weight, ignore_index=self.ignore_index, reduction="none"
        ).mean()
        known = masks != self.ignore_index
        right = (logits.detach().argmax(1) == masks) & known
        share = right.sum() / known.sum().clamp(min=1) * 100
        return {"loss_ce": loss * self.loss_weight, "acc_seg": share}


@MODELS.register_module()
class FCNHead(SegHead):
    """A few 3 x 3 convolutions on one feature map (Long et al., 2015)."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        num_convs: int = 2,
        in_index: int = -1,
        norm: str | None = "BN",
        **common: Any,
    ) -> None:
        super().__init__(channels, num_classes, **common)
        self.in_index = in_index
        widths = [in_channels, *[channels] * num_convs]
        self.convs = nn.Sequential(*(ConvModule(a, b, 3, norm=norm) for a, b in pairwise(widths)))

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        return self.classify(self.convs(feats[self.in_index]))


@MODELS.register_module()
class UPerHead(SegHead):
    """A pooling pyramid on the deepest map and a feature pyramid over all (Xiao et al., 2018)."""

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        num_classes: int,
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        norm: str | None = "BN",
        **common: Any,
    ) -> None:
        super().__init__(channels, num_classes, **common)
        # A norm over one pixel of one image is nothing: the pooled branches have a bias instead.
        self.psp_modules = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(scale), ConvModule(in_channels[-1], channels, 1, norm=None)
            )
            for scale in pool_scales
        )
        joined = in_channels[-1] + len(pool_scales) * channels
        self.bottleneck = ConvModule(joined, channels, 3, norm=norm)
        self.lateral_convs = nn.ModuleList(
            ConvModule(width, channels, 1, norm=norm) for width in in_channels[:-1]
        )
        self.fpn_convs = nn.ModuleList(
            ConvModule(channels, channels, 3, norm=norm) for _ in in_channels[:-1]
        )
        self.fpn_bottleneck = ConvModule(len(in_channels) * channels, channels, 3, norm=norm)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        levels = [conv(x) for conv, x in zip(self.lateral_convs, feats[:-1], strict=True)]
        levels.append(self._pooled(feats[-1]))
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + resized(levels[i], levels[i - 1].shape[-2:])
        outs = [conv(x) for conv, x in zip(self.fpn_convs, levels[:-1], strict=True)]
        size = levels[0].shape[-2:]
        joined = torch.cat([resized(x, size) for x in (*outs, levels[-1])], 1)
        return self.classify(self.fpn_bottleneck(joined))

    def _pooled(self, x: Tensor) -> Tensor:
        pooled = [resized(part(x), x.shape[-2:]) for part in self.psp_modules]
        mixed: Tensor = self.bottleneck(torch.cat([x, *pooled], 1))
        return mixed


@MODELS.register_module()
class Feature2Pyramid(nn.Module):
    """Maps of one size, as a plain transformer gives, at several: `rescales` of 4, 2, 1 or 0.5."""

    def __init__(self, embed_dim: int, rescales: Sequence[float] = (4, 2, 1, 0.5)) -> None:
        super().__init__()
        self.ops = nn.ModuleList(_rescale(embed_dim, scale) for scale in rescales)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        if len(inputs) != len(self.ops):
            raise ValueError(f"{len(self.ops)} rescales for {len(inputs)} feature maps")
        return tuple(op(x) for op, x in zip(self.ops, inputs, strict=True))


def _rescale(width: int, scale: float) -> nn.Module:
    if scale == 4:
        return nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, 2),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.ConvTranspose2d(width, width, 2, 2),
        )
    if scale == 2:
        return nn.Sequential(nn.ConvTranspose2d(width, width, 2, 2))
    if scale == 1:
        return nn.Identity()
    if scale == 0.5:
        return nn.MaxPool2d(2, 2)
    raise ValueError(f"a rescale must be 4, 2, 1 or 0.5, got {scale!r}")


@MODELS.register_module()
class EncoderDecoder(BaseModel):
    """`backbone`, `neck`, `decode_head` and `auxiliary_head` (one or a list) by config.

    Predicts, one dict an image, `pred_sem_seg` (H, W) and, where known, `gt_sem_seg`; with
    `keep_logits` also `seg_logits` (C, H, W).
    """

    def __init__(
        self,
        backbone: Any,
        decode_head: Any,
        neck: Any = None,
        auxiliary_head: Any = None,
        keep_logits: bool = False,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck: Any = None if neck is None else MODELS.build(neck)
        self.decode_head = MODELS.build(decode_head)
        aux = auxiliary_head or []
        aux = aux if isinstance(aux, list | tuple) else [aux]
        self.auxiliary_head = nn.ModuleList(MODELS.build(head) for head in aux) if aux else None
        self.keep_logits = keep_logits

    def extract_feat(self, inputs: Any) -> tuple[Tensor, ...]:
        """The feature maps of images."""
        feats: tuple[Tensor, ...] = self.backbone(as_batch(inputs))
        return feats if self.neck is None else self.neck(feats)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        feats = self.extract_feat(inputs)
        logits = self.decode_head(feats)
        if mode == "tensor":
            return logits
        masks = None if data_samples is None else column(data_samples, MASK_KEYS).long()
        if mode == "predict":
            return self._predicted(resized(logits, as_batch(inputs).shape[-2:]), masks)
        if masks is None:
            raise ValueError("training needs masks in data_samples, got None")
        losses = _prefixed("decode", self.decode_head.losses(logits, masks))
        for number, head in enumerate(self.auxiliary_head or ()):
            name = "aux" if len(self.auxiliary_head or ()) == 1 else f"aux_{number}"
            part: Any = head
            losses |= _prefixed(name, part.losses(part(feats), masks))
        return losses

    def _predicted(self, logits: Tensor, masks: Tensor | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"pred_sem_seg": mask} for mask in logits.argmax(1)]
        if self.keep_logits:
            found = with_truth(found, "seg_logits", logits)
        return with_truth(found, "gt_sem_seg", masks)

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """`(layer, number of layers)`, as the backbone says."""
        return depth_of(self.backbone, param_name)


def _prefixed(name: str, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in losses.items()}

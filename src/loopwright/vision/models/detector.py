"""A small anchor-free one-stage detector with RTMDet's ingredients, in plain torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopwright.dist import all_reduce
from loopwright.model.base import BaseModel
from loopwright.model.init import bias_init_with_prob, normal_init
from loopwright.registry import MODELS
from loopwright.vision.models.assign import dynamic_soft_labels
from loopwright.vision.models.boxops import batched_nms, boxes_around, giou
from loopwright.vision.models.common import ConvModule, as_batch


class Truth(NamedTuple):
    """The objects of one image: boxes (k, 4) xyxy, labels (k,), which of them are ignored (k,)."""

    boxes: Tensor
    labels: Tensor
    ignore: Tensor


class Found(NamedTuple):
    """What a head says of every point of a batch: logits (N, P, C) and boxes (N, P, 4)."""

    logits: Tensor
    boxes: Tensor
    points: Tensor
    strides: Tensor


@MODELS.register_module()
class RTMDetSepBNHead(nn.Module):
    """Class and box branches over all levels: convolutions shared, norms apart (`share_conv`).

    A point predicts its distances to the four sides in units of its level's stride. Shared
    convolutions are one parameter under several names: groups need `bypass_duplicate`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 64,
        stacked_convs: int = 2,
        strides: Sequence[int] = (8, 16, 32),
        share_conv: bool = True,
        topk: int = 13,
        loss_cls_weight: float = 1.0,
        loss_bbox_weight: float = 2.0,
    ) -> None:
        super().__init__()
        self.num_classes, self.strides, self.topk = num_classes, tuple(strides), topk
        self.loss_cls_weight, self.loss_bbox_weight = loss_cls_weight, loss_bbox_weight
        widths = [in_channels, *[feat_channels] * stacked_convs]
        self.cls_convs = _towers(widths, len(strides), share_conv)
        self.reg_convs = _towers(widths, len(strides), share_conv)
        self.rtm_cls = nn.ModuleList(nn.Conv2d(feat_channels, num_classes, 1) for _ in strides)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(feat_channels, 4, 1) for _ in strides)
        for layer in self.rtm_cls:
            normal_init(layer, std=0.01, bias=bias_init_with_prob(0.01))
        for layer in self.rtm_reg:
            normal_init(layer, std=0.01, bias=0.7)  # about one stride to each side

    def forward(self, feats: Sequence[Tensor]) -> Found:
        logits, boxes, points, strides = [], [], [], []
        for level, x in enumerate(feats):
            stride = self.strides[level]
            place = grid_points(x.shape[-2:], stride, x)
            score = self.rtm_cls[level](self.cls_convs[level](x))
            side = functional.softplus(self.rtm_reg[level](self.reg_convs[level](x))) * stride
            logits.append(score.flatten(2).transpose(1, 2))
            boxes.append(boxes_around(place, side.flatten(2).transpose(1, 2)))
            points.append(place)
            strides.append(place.new_full((len(place),), stride))
        return Found(
            *(torch.cat(part, 1) for part in (logits, boxes)), *map(torch.cat, (points, strides))
        )

    def losses(self, found: Found, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """`loss_cls` (quality focal) and `loss_bbox` (GIoU), by the number of assigned points."""
        _check_labels(truths, self.num_classes)
        quality, boxes, targets, weights = [], [], [], []
        for number, truth in enumerate(truths):
            soft, own, wanted, overlap = self._one_image(found, number, truth)
            quality.append(soft)
            boxes.append(own)
            targets.append(wanted)
            weights.append(overlap)
        weight = torch.cat(weights)
        total = average_factor(weight.sum())
        loss_bbox = ((1 - giou(torch.cat(boxes), torch.cat(targets))) * weight).sum() / total
        return {
            "loss_cls": torch.stack(quality).sum() / total * self.loss_cls_weight,
            "loss_bbox": loss_bbox * self.loss_bbox_weight,
        }

    def _one_image(
        self, found: Found, number: int, truth: Truth
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits, boxes = found.logits[number], found.boxes[number]
        assigned = dynamic_soft_labels(
            found.points,
            found.strides,
            boxes.detach(),
            logits.detach(),
            truth.boxes,
            truth.labels,
            truth.ignore,
            topk=self.topk,
        )
        mine = torch.nonzero(assigned.objects >= 0)[:, 0]
        objects = assigned.objects[mine]
        soft = torch.zeros_like(logits)
        soft[mine, truth.labels[objects]] = assigned.overlaps[mine].to(soft.dtype)
        counted = (assigned.objects != -2)[:, None]
        loss = (quality_focal(logits, soft) * counted).sum()
        return loss, boxes[mine], truth.boxes[objects].to(boxes.dtype), assigned.overlaps[mine]

    @torch.no_grad()
    def decode(
        self, found: Found, size: tuple[int, int], *, score_thr: float, iou_thr: float, most: int
    ) -> list[dict[str, Tensor]]:
        """Boxes, scores and labels of each image of (height, width), best first."""
        height, width = size
        results = []
        for logits, boxes in zip(found.logits.float(), found.boxes.float(), strict=True):
            scores = logits.sigmoid().flatten()
            scores, order = scores.topk(min(1000, len(scores)))
            order, scores = order[scores > score_thr], scores[scores > score_thr]
            labels = order % self.num_classes
            chosen = boxes[order // self.num_classes]
            limit = chosen.new_tensor([width, height, width, height])
            chosen = torch.minimum(chosen.clamp(min=0), limit)
            kept = batched_nms(chosen, scores, labels, iou_thr)[:most]
            results.append({"boxes": chosen[kept], "scores": scores[kept], "labels": labels[kept]})
        return results


def _towers(widths: list[int], levels: int, share: bool) -> nn.ModuleList:
    """A stack of convolutions a level; with `share` they are the first level's."""
    towers = nn.ModuleList(
        nn.Sequential(*(ConvModule(a, b, 3, act=nn.SiLU) for a, b in pairwise(widths)))
        for _ in range(levels)
    )
    if share:
        first: Any = towers[0]
        for tower in list(towers)[1:]:
            others: Any = tower
            for own, shared in zip(others, first, strict=True):
                own.conv = shared.conv
    return towers


def grid_points(size: Sequence[int], stride: int, like: Tensor) -> Tensor:
    """The middles (P, 2) of the cells of a level, in pixels, row by row.

    >>> grid_points((1, 2), 8, torch.zeros(1)).tolist()
    [[4.0, 4.0], [12.0, 4.0]]
    """
    rows = (torch.arange(size[0], device=like.device, dtype=torch.float32) + 0.5) * stride
    columns = (torch.arange(size[1], device=like.device, dtype=torch.float32) + 0.5) * stride
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)], 1)


def quality_focal(logits: Tensor, quality: Tensor, beta: float = 2.0) -> Tensor:
    """The quality focal loss (Li et al., 2020) of logits against soft targets in [0, 1]."""
    scale = (quality - logits.sigmoid()).abs().pow(beta)
    return functional.binary_cross_entropy_with_logits(logits, quality, reduction="none") * scale


def average_factor(total: Tensor) -> Tensor:
    """The mean over processes of what losses are divided by, at least 1."""
    shared = total.detach().clone()
    all_reduce(shared, "mean")
    return shared.clamp(min=1.0)


@MODELS.register_module()
class SingleStageDetector(BaseModel):
    """`backbone`, `neck` and `bbox_head` by config.

    Truths are a dict of lists (`boxes` or `bboxes` (k, 4) xyxy in pixels, `labels`, perhaps
    `ignore`) or a list of such dicts. Predicts, one dict an image, `boxes`, `scores`, `labels` and,
    where known, the truth under `gt`.
    """

    def __init__(
        self,
        backbone: Any,
        bbox_head: Any,
        neck: Any = None,
        score_thr: float = 0.05,
        iou_thr: float = 0.6,
        max_per_img: int = 100,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.bbox_head = MODELS.build(bbox_head)
        self.score_thr, self.iou_thr, self.max_per_img = score_thr, iou_thr, max_per_img

    def extract_feat(self, inputs: Any) -> tuple[Tensor, ...]:
        """The feature maps of images."""
        feats: tuple[Tensor, ...] = self.backbone(as_batch(inputs))
        return feats if self.neck is None else self.neck(feats)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        images = as_batch(inputs)
        found = self.bbox_head(self.extract_feat(images))
        if mode == "tensor":
            return found.logits, found.boxes
        truths = None if data_samples is None else truths_of(data_samples, images.device)
        if mode == "loss":
            if truths is None:
                raise ValueError("training needs boxes and labels in data_samples, got None")
            return self.bbox_head.losses(found, truths)
        height, width = images.shape[-2:]
        results = self.bbox_head.decode(
            found,
            (height, width),
            score_thr=self.score_thr,
            iou_thr=self.iou_thr,
            most=self.max_per_img,
        )
        if truths is None:
            return results
        return [{**one, "gt": truth._asdict()} for one, truth in zip(results, truths, strict=True)]


RTMDet = MODELS.register_module(name="RTMDet", module=SingleStageDetector)


def _check_labels(truths: Sequence[Truth], num_classes: int) -> None:
    """Raises ValueError for a label that is no class; looks only where it need not wait (CPU)."""
    if torch.compiler.is_compiling():
        return
    for number, truth in enumerate(truths):
        if truth.labels.device.type != "cpu" or not len(truth.labels):
            continue
        least, most = int(truth.labels.min()), int(truth.labels.max())
        if least < 0 or most >= num_classes:
            raise ValueError(
                f"image {number} of the batch has label {least if least < 0 else most}, but the "
                f"head has num_classes={num_classes}: labels are 0 to {num_classes - 1}"
            )


def truths_of(data_samples: Any, device: torch.device | None = None) -> list[Truth]:
    """The objects of each image, of a dict of lists, a list of dicts, or OpenMMLab's samples.

    >>> truths_of({"boxes": [torch.zeros(1, 4)], "labels": [torch.tensor([3])]})[0].labels
    tensor([3])
    """
    if isinstance(data_samples, Mapping):
        count = len(next(iter(data_samples.values())))
        data_samples = [{k: v[i] for k, v in data_samples.items()} for i in range(count)]
    return [_truth(sample, device) for sample in data_samples]


def _truth(sample: Any, device: torch.device | None) -> Truth:
    inner = _get(sample, "gt_instances")
    source = sample if inner is None else inner
    boxes = next((b for b in (_get(source, k) for k in ("boxes", "bboxes")) if b is not None), None)
    labels = _get(source, "labels")
    if boxes is None or labels is None:
        raise KeyError(f"a sample needs boxes (or bboxes) and labels, got {_keys(source)}")
    boxes = torch.as_tensor(boxes, dtype=torch.float32, device=device).reshape(-1, 4)
    labels = torch.as_tensor(labels, dtype=torch.long, device=device)
    ignore = _get(source, "ignore")
    if ignore is None:
        ignore = torch.zeros(len(labels), dtype=torch.bool)
    return Truth(boxes, labels, torch.as_tensor(ignore, dtype=torch.bool, device=device))


def _get(sample: Any, key: str) -> Any:
    return sample.get(key) if isinstance(sample, Mapping) else getattr(sample, key, None)


def _keys(sample: Any) -> str:
    return ", ".join(sample) if isinstance(sample, Mapping) else type(sample).__name__

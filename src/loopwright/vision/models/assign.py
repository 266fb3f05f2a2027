"""Which point learns which object: dynamic soft label assignment, as RTMDet (Lyu et al., 2022)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from loopwright.vision.models.boxops import inside, pairwise_iou

_NEVER = 1e8


class Assigned(NamedTuple):
    """For each point: its object, -1 for none, -2 to be left out; and how well it fits."""

    objects: Tensor
    overlaps: Tensor


@torch.no_grad()
def dynamic_soft_labels(
    points: Tensor,
    strides: Tensor,
    boxes: Tensor,
    logits: Tensor,
    truth: Tensor,
    labels: Tensor,
    ignore: Tensor | None = None,
    *,
    topk: int = 13,
    soft_center_radius: float = 3.0,
    iou_weight: float = 3.0,
) -> Assigned:
    """Assign points (n, 2) with strides (n,), predicted boxes (n, 4) and class logits (n, C).

    The cost of a point for an object is a soft classification loss, the overlap's -log and how far
    the point lies from the object's middle; an object takes as many of its cheapest points as the
    overlaps of its best `topk` sum to. A point wanted twice goes where it is cheapest. Points
    inside an ignored box, and in no other, are left out.
    """
    taught = truth if ignore is None else truth[~ignore]
    known = labels if ignore is None else labels[~ignore]
    objects = torch.full((len(points),), -1, dtype=torch.long, device=points.device)
    fits = torch.zeros(len(points), device=points.device)
    if ignore is not None and bool(ignore.any()):
        objects[inside(points, truth[ignore]).any(1)] = -2
    if len(taught) == 0:
        return Assigned(objects, fits)
    allowed = inside(points, taught)
    overlaps = pairwise_iou(boxes, taught)
    cost = (
        _class_cost(logits, known, overlaps)
        - overlaps.clamp(min=1e-7).log() * iou_weight
        + _center_cost(points, strides, taught, soft_center_radius)
    )
    cost = cost.masked_fill(~allowed, _NEVER)
    chosen = _cheapest(cost, overlaps.masked_fill(~allowed, 0), allowed, topk)
    taken, best = chosen.any(1), cost.masked_fill(~chosen, 2 * _NEVER).argmin(1)
    index = torch.arange(len(taught), device=points.device)
    original = index if ignore is None else torch.nonzero(~ignore)[:, 0]
    objects[taken] = original[best[taken]]
    fits[taken] = overlaps[taken, best[taken]]
    return Assigned(objects, fits)


def _class_cost(logits: Tensor, labels: Tensor, overlaps: Tensor) -> Tensor:
    """(n, objects): a focal loss of the score for the object's class against the overlap."""
    scored = logits[:, labels]
    scale = (overlaps - scored.sigmoid()).abs().square()
    return functional.binary_cross_entropy_with_logits(scored, overlaps, reduction="none") * scale


def _center_cost(points: Tensor, strides: Tensor, truth: Tensor, radius: float) -> Tensor:
    middle = (truth[:, :2] + truth[:, 2:]) / 2
    away = torch.cdist(points, middle) / strides[:, None]
    return torch.pow(10, (away - radius).clamp(max=6.0))


def _cheapest(cost: Tensor, overlaps: Tensor, allowed: Tensor, topk: int) -> Tensor:
    """(n, objects): the points that each object takes, as many as its best overlaps sum to."""
    topk = min(topk, len(cost))
    count = overlaps.topk(topk, 0).values.sum(0).int().clamp(min=1)
    values, order = cost.topk(topk, 0, largest=False)
    take = torch.arange(topk, device=cost.device)[:, None] < count[None]
    chosen = torch.zeros_like(allowed)
    chosen.scatter_(0, order, take & (values < _NEVER))
    return chosen

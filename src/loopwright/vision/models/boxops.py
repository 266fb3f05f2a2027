"""Box operations on xyxy tensors in plain torch: overlaps, decoding, non-maximum suppression."""

from __future__ import annotations

import torch
from torch import Tensor


def areas(boxes: Tensor) -> Tensor:
    """(..., 4) to (...): width times height, never negative."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box of `a` (n, 4) with every one of `b` (m, 4): (n, m).

    >>> pairwise_iou(torch.tensor([[0., 0, 2, 2]]), torch.tensor([[1., 0, 3, 2], [5, 5, 6, 6]]))
    tensor([[0.3333, 0.0000]])
    """
    corner = torch.min(a[:, None, 2:], b[None, :, 2:]) - torch.max(a[:, None, :2], b[None, :, :2])
    inter = corner.clamp(min=0).prod(-1)
    union = areas(a)[:, None] + areas(b)[None] - inter
    return inter / union.clamp(min=1e-7)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al., 2019) of boxes row by row, from -1 to 1.

    >>> giou(torch.tensor([[0., 0, 1, 1]]), torch.tensor([[1., 0, 2, 1]]))
    tensor([0.])
    """
    corner = torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])
    inter = corner.clamp(min=0).prod(-1)
    union = areas(a) + areas(b) - inter
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    return inter / union.clamp(min=1e-7) - (hull - union) / hull.clamp(min=1e-7)


def boxes_around(points: Tensor, distances: Tensor) -> Tensor:
    """Boxes from points (..., 2) and their distances to left, top, right, bottom (..., 4).

    >>> boxes_around(torch.tensor([5., 5.]), torch.tensor([1., 2, 3, 4]))
    tensor([4., 3., 8., 9.])
    """
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Which of the points (n, 2) lie inside which boxes (m, 4): (n, m)."""
    near = points[:, None] - boxes[None, :, :2]
    far = boxes[None, :, 2:] - points[:, None]
    return torch.cat([near, far], -1).amin(-1) > 0


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices of boxes to keep, best first: none overlaps a better one by more than `threshold`.

    >>> boxes = torch.tensor([[0., 0, 4, 4], [0, 0, 4, 3], [9, 9, 10, 10]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist()
    [1, 2]
    """
    order = scores.argsort(descending=True, stable=True)
    overlaps = (pairwise_iou(boxes[order], boxes[order]) > threshold).triu(1).cpu()
    keep = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if keep[i]:
            keep &= ~overlaps[i]
    return order[keep.to(order.device)]


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """`nms` among boxes of one group (class) only: groups are moved apart first."""
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    span = boxes.max() - boxes.min() + 1
    apart = boxes - boxes.min() + groups.to(boxes)[:, None] * span
    return nms(apart, scores, threshold)

"""Random views of small images in plain torch, drawn from torch's global generator.

The loader seeds that generator from (seed, epoch, index), so a view does not depend on workers.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import affine_grid, grid_sample, pad


def _steps(reach: int) -> tuple[int, int]:
    right, down = torch.randint(-reach, reach + 1, (2,)).tolist()
    return right, down


def moved(image: torch.Tensor, right: int, down: int, fill: float = 0.0) -> torch.Tensor:
    """The image (..., H, W) moved by whole pixels; what comes in is ``fill``.

    >>> moved(torch.tensor([[1, 2], [3, 4]]), 1, 0).tolist()
    [[0, 1], [0, 3]]
    """
    return pad(image, (right, -right, down, -down), value=fill)


def shift(image: torch.Tensor, reach: int) -> torch.Tensor:
    """Move an image (C, H, W) by up to ``reach`` pixels each way."""
    return moved(image, *_steps(reach))


def shift_with_mask(
    image: torch.Tensor, mask: torch.Tensor, reach: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move an image (C, H, W) and its mask (H, W) together; what comes in is 0 in both."""
    right, down = _steps(reach)
    return moved(image, right, down), moved(mask, right, down)


def shift_with_boxes(
    image: torch.Tensor, boxes: torch.Tensor, reach: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move an image (C, H, W) and its xyxy boxes (k, 4) together, no box over the border.

    With no boxes, or boxes that leave no room, the reach is what room there is.
    """
    right, down = _steps(reach)
    if len(boxes):
        height, width = image.shape[-2:]
        left, top = boxes[:, :2].min(0).values.tolist()
        far, low = boxes[:, 2:].max(0).values.tolist()
        right = int(min(max(right, -max(left, 0)), max(width - far, 0)))
        down = int(min(max(down, -max(top, 0)), max(height - low, 0)))
    return moved(image, right, down), boxes + boxes.new_tensor([right, down, right, down])


def random_view(
    image: torch.Tensor,
    *,
    turn: float = 15.0,
    scale: tuple[float, float] = (0.75, 1.15),
    reach: float = 0.15,
    noise: float = 0.08,
) -> torch.Tensor:
    """A turned, scaled, moved, brighter or darker, grainy view of an image (C, H, W).

    ``turn`` is in degrees, ``reach`` a share of the side. No mirroring: a digit's sides matter.
    """
    draw = torch.rand(6).tolist()
    angle = math.radians((2 * draw[0] - 1) * turn)
    zoom = 1 / (scale[0] + draw[1] * (scale[1] - scale[0]))
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    right, down = ((2 * d - 1) * 2 * reach for d in draw[2:4])
    theta = image.new_tensor([[[cos, -sin, right], [sin, cos, down]]])
    grid = affine_grid(theta, [1, *image.shape], align_corners=False)
    view = grid_sample(image[None], grid, align_corners=False)[0]
    gain, gamma = 0.7 + 0.5 * draw[4], 0.7 + 0.7 * draw[5]
    return gain * view.clamp(0, 1) ** gamma + noise * torch.randn_like(view)

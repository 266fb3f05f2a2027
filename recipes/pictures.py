"""Draw a recipe's picture.png from a run: what its newest checkpoint says of the validation images.

python recipes/pictures.py vit_segmentation work_dirs/vit --images 1 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from linear_probe import newest
from PIL import Image

from loopwright.checkpoint import load_weights
from loopwright.config import Config
from loopwright.registry import DATASETS, MODELS
from loopwright.vision.draw import draw_det, draw_seg, enlarge, to_picture
from loopwright.vision.models.selfsup import MAE, patches_of

HERE = Path(__file__).parent


def stacked(pictures: Sequence[np.ndarray], gap: int = 6) -> np.ndarray:
    """Pictures (H, W, 3) below one another, filled up to the right in light grey."""
    width = max(one.shape[1] for one in pictures)
    filled = [
        np.pad(one, ((0, gap), (0, width - one.shape[1]), (0, 0)), constant_values=235)
        for one in pictures
    ]
    return np.concatenate(filled)


def labelled(model: Any, data: Any, index: int) -> np.ndarray:
    """Image, truth and prediction of one sample of a segmentation or detection set."""
    item, meta = data[index], data.metainfo
    said = model.test_step({"inputs": item["inputs"][None], "data_samples": None})[0]
    names = {"classes": meta["classes"], "palette": meta["palette"]}
    if "pred_sem_seg" in said:
        return draw_seg(item["inputs"], item["data_samples"], said["pred_sem_seg"], **names)
    return draw_det(item["inputs"], item["data_samples"], said, **names)


def filled_in(model: MAE, images: torch.Tensor, times: int = 3) -> np.ndarray:
    """Digits (n, 1, S, S), what of them was shown, what the model made of that: three rows."""
    scale = model.data_preprocessor
    said, hidden = model.reconstruct(scale({"inputs": images})["inputs"])
    pixels = patches_of(images, model.backbone.patch_size)
    told = (said * scale.std.flatten() + scale.mean.flatten()).clamp(0, 1)
    shown = torch.where(hidden[..., None], torch.full_like(pixels, 0.5), pixels)
    made = torch.where(hidden[..., None], told, pixels)
    rows = [images_of(patches, images.shape[-1]) for patches in (pixels, shown, made)]
    edged = [torch.nn.functional.pad(row, (1, 1, 1, 1), value=1.0) for row in rows]
    whole = torch.cat([torch.cat(list(row), 1) for row in edged])
    return enlarge(to_picture(whole), times)


def images_of(patches: torch.Tensor, side: int) -> torch.Tensor:
    """Patches (n, L, size * size) of one channel put together again: (n, side, side)."""
    size = int(patches.shape[-1] ** 0.5)
    count = side // size
    parts = patches.view(-1, count, count, size, size)
    return parts.permute(0, 1, 3, 2, 4).reshape(-1, side, side)


@torch.no_grad()
def picture(name: str, work_dir: str, images: Sequence[int]) -> np.ndarray:
    cfg = Config.fromfile(str(HERE / name / "config.py"))
    model = MODELS.build(cfg["model"])
    load_weights(model, newest(work_dir), strict=True)
    model.eval()
    if isinstance(model, MAE):
        torch.manual_seed(0)
        size = cfg["train_dataloader"]["dataset"]["size"]
        data = DATASETS.build({"type": "DigitsClassification", "split": "test", "size": size})
        return filled_in(model, torch.stack([data[i]["inputs"] for i in images]))
    data = DATASETS.build(cfg["val_dataloader"]["dataset"])
    return stacked([labelled(model, data, i) for i in images])


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a recipe's picture from a run.")
    parser.add_argument("name", help="the recipe: its folder below recipes/")
    parser.add_argument("work_dir")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--out", help="default: picture.png in the recipe's folder")
    given = parser.parse_args()
    drawn = picture(given.name, given.work_dir, given.images)
    Image.fromarray(drawn).save(given.out or HERE / given.name / "picture.png", optimize=True)


if __name__ == "__main__":
    main()

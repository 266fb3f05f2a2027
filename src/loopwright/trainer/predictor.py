"""DefaultPredictor: a trained model of a config, asked about one image at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from loopwright.trainer.checkpointing import Checkpointer
from loopwright.trainer.yacs_source import build_model


class DefaultPredictor:
    """The model of a config with the weights of ``MODEL.WEIGHTS``, in eval mode.

    ``predictor(image)`` takes one picture as OpenCV reads it (height, width, 3; blue first; uint8),
    turns its channels to ``INPUT.FORMAT``, makes its shorter side ``INPUT.MIN_SIZE_TEST`` (0: as it
    is) unless the longer one passed ``INPUT.MAX_SIZE_TEST`` then, and returns what the model
    answers for ``[{"image": tensor (3, h, w) of floats, "height": …, "width": …}]``, the first of
    it. Raises ConfigError for a model that is not registered, ValueError for no such picture.
    """

    def __init__(self, cfg: Any, *, model: Any = None) -> None:
        self.cfg = cfg.clone() if hasattr(cfg, "clone") else cfg
        self.model = build_model(self.cfg) if model is None else model
        self.model.eval()
        given = self.cfg["INPUT"]
        self.min_size, self.max_size = given["MIN_SIZE_TEST"], given["MAX_SIZE_TEST"]
        self.input_format = given["FORMAT"]
        if self.input_format not in ("RGB", "BGR"):
            raise ValueError(f"INPUT.FORMAT must be 'RGB' or 'BGR', got {self.input_format!r}")
        Checkpointer(self.model).load(self.cfg["MODEL"]["WEIGHTS"])

    def __call__(self, original_image: Any) -> Any:
        """What the model answers for one picture."""
        image = np.asarray(original_image)
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"wanted a picture of (height, width, 3), got {image.shape}")
        if self.input_format == "RGB":
            image = image[:, :, ::-1]
        height, width = image.shape[:2]
        pixels = torch.from_numpy(image.astype("float32").transpose(2, 0, 1).copy())
        size = shortest_edge(height, width, self.min_size, self.max_size)
        if size != (height, width):
            pixels = functional.interpolate(
                pixels[None], size=size, mode="bilinear", antialias=True, align_corners=False
            )[0]
        where = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        inputs = {"image": pixels.to(where), "height": height, "width": width}
        with torch.no_grad():
            return self.model([inputs])[0]


def shortest_edge(height: int, width: int, short: int, longest: int) -> tuple[int, int]:
    """The size of a picture whose shorter side becomes ``short``, its longer at most ``longest``.

    >>> shortest_edge(480, 640, 800, 1333), shortest_edge(100, 400, 800, 1333)
    ((800, 1067), (333, 1333))
    """
    if not short:
        return height, width
    scale = min(short / min(height, width), longest / max(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)

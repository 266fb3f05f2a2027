"""NaiveVisualizationHook: test images with what was predicted written into the run folder."""

from __future__ import annotations

import os
from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.hooks.visualization import triples
from loopwright.registry import HOOKS
from loopwright.vision.draw import save, to_picture


@HOOKS.register_module()
class NaiveVisualizationHook(Hook):
    """Saves every ``interval``-th test image under the label that was predicted for it."""

    priority = "NORMAL"

    def __init__(self, interval: int = 1, draw_gt: bool = True, draw_pred: bool = True) -> None:
        self.interval = interval
        self.draw_gt = draw_gt
        self.draw_pred = draw_pred
        self._seen = 0

    def before_test(self, runner: Any) -> None:
        self._seen = 0

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        for image, truth, found in triples(data_batch, outputs):
            self._seen += 1
            if self._seen % self.interval:
                continue
            told = []
            if self.draw_gt:
                told.append(f"gt_{_label(truth, 'gt_label')}")
            if self.draw_pred:
                told.append(f"pred_{_label(found, 'pred_label')}")
            name = "_".join([f"test_{self._seen}", *told])
            save(to_picture(image), os.path.join(runner.work_dir, "vis_image", f"{name}.png"))


def _label(sample: Any, key: str) -> str:
    value = sample.get(key) if hasattr(sample, "get") else sample
    return str(value.item()) if hasattr(value, "numel") and value.numel() == 1 else "none"

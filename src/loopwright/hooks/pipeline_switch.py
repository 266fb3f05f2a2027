"""PipelineSwitchHook: another data pipeline from an epoch on, as RTMDet's last epochs have."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class PipelineSwitchHook(Hook):
    """Gives the training data set ``switch_pipeline`` from ``switch_epoch`` (0-based) on.

    The data set is told before training starts, so that workers which are kept, and a run which
    is resumed, switch at the same sample.
    """

    def __init__(self, switch_epoch: int, switch_pipeline: list[Any]) -> None:
        self.switch_epoch = switch_epoch
        self.switch_pipeline = switch_pipeline

    def before_train(self, runner: Any) -> None:
        dataset = runner.train_dataloader.dataset
        if not hasattr(dataset, "switch_pipeline"):
            raise TypeError(
                f"PipelineSwitchHook needs a data set with switch_pipeline(pipeline, epoch), "
                f"{type(dataset).__name__} has none"
            )
        dataset.switch_pipeline(self.switch_pipeline, self.switch_epoch)

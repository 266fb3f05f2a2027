"""PreciseBNHook: measures batch-norm statistics anew before validation."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.model.norm import batch_norms, update_bn_stats
from loopwright.registry import HOOKS


@HOOKS.register_module()
class PreciseBNHook(Hook):
    """Recomputes running means and variances over ``num_iters`` batches, one epoch at most.

    Every ``interval`` epochs and after the last, before checkpoint and validation (Wu & Johnson,
    2021). Does nothing for a model without batch norm.
    """

    priority = "LOW"

    def __init__(self, num_iters: int = 200, interval: int = 1) -> None:
        self.num_iters = num_iters
        self.interval = interval

    def after_train_epoch(self, runner: Any) -> None:
        due = self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)
        if not due or not batch_norms(runner.model):
            return
        loader = runner.train_dataloader
        loader.set_position(runner.progress.epoch, 0)
        update_bn_stats(runner.model, iter(loader), min(self.num_iters, len(loader)))

"""DistSamplerSeedHook: tells the loader which epoch's order to use."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS


@HOOKS.register_module()
class DistSamplerSeedHook(Hook):
    """Sets the epoch of the training loader, from which its order and randomness follow."""

    priority = "NORMAL"

    def before_train_epoch(self, runner: Any) -> None:
        loop = runner.train_loop
        if getattr(loop, "unit", None) != "iter":  # whose epoch is always 0, not so the loader's
            loop.dataloader.set_epoch(runner.epoch)

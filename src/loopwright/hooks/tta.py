"""PrepareTTAHook: tests a model through its test-time-augmentation wrapper."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS, MODELS


@HOOKS.register_module()
class PrepareTTAHook(Hook):
    """Has the test ask the wrapper that ``tta_cfg`` names, around the run's model."""

    priority = "LOWEST"

    def __init__(self, tta_cfg: dict[str, Any]) -> None:
        self.tta_cfg = tta_cfg

    def before_test(self, runner: Any) -> None:
        built = MODELS.build(self.tta_cfg, module=runner.model).to(runner.device)
        runner.test_loop.model = built

    def after_test(self, runner: Any) -> None:
        runner.test_loop.model = None

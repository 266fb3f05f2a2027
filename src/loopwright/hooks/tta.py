"""PrepareTTAHook: tests a model through its test-time-augmentation wrapper."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS, MODELS


@HOOKS.register_module()
class PrepareTTAHook(Hook):
    """Before a test, puts the model into the wrapper that ``tta_cfg`` names; takes it out after."""

    priority = "LOWEST"

    def __init__(self, tta_cfg: dict[str, Any]) -> None:
        self.tta_cfg = tta_cfg
        self._inner: Any = None

    def before_test(self, runner: Any) -> None:
        self._inner = runner.model
        runner.model = MODELS.build(self.tta_cfg, module=runner.model).to(runner.device)

    def after_test(self, runner: Any) -> None:
        runner.model, self._inner = self._inner, None

    def after_run(self, runner: Any) -> None:
        """A test that was cut short left the wrapper in the run."""
        if self._inner is not None:
            self.after_test(runner)

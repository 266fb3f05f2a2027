"""CompileReportHook: says what torch.compile did, when it did something."""

from __future__ import annotations

from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.model import compile_report
from loopwright.registry import HOOKS


@HOOKS.register_module()
class CompileReportHook(Hook):
    """Logs graphs, breaks and recompiles whenever their numbers changed; added by ``compile``.

    Looked at after the first iteration, then every ``interval``, and at the end.
    """

    priority = "LOW"

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._told = ""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not self._told or self.every_n_train_iters(runner, self.interval):
            self._tell(runner)

    def after_train(self, runner: Any) -> None:
        self._tell(runner)

    def _tell(self, runner: Any) -> None:
        report = compile_report(runner.model)
        if report is not None and str(report) != self._told:
            self._told = str(report)
            runner.logger.info(self._told)

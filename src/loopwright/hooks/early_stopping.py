"""EarlyStoppingHook: stops when a metric no longer gets better."""

from __future__ import annotations

import math
from typing import Any, Literal

from loopwright.checkpoint import infer_rule
from loopwright.hooks.hook import Hook
from loopwright.hooks.watched import find_metric, has_several, is_left_out
from loopwright.registry import HOOKS


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Watches ``monitor`` and stops after ``patience`` validations without an improvement.

    An improvement is one by at least ``min_delta``. ``stopping_threshold`` stops as soon as it is
    reached; ``check_finite`` stops at a NaN or infinity. Its memory survives a resume. With
    ``strict`` a metric that is not there is an error, otherwise a warning.
    """

    priority = "LOWEST"

    def __init__(
        self,
        monitor: str,
        rule: Literal["greater", "less"] | None = None,
        min_delta: float = 0.1,
        strict: bool = False,
        check_finite: bool = True,
        patience: int = 5,
        stopping_threshold: float | None = None,
    ) -> None:
        if rule not in (None, "greater", "less"):
            raise ValueError(f"rule must be 'greater' or 'less', got {rule!r}")
        self.monitor = monitor
        self.rule = rule or infer_rule(monitor)
        self.min_delta = min_delta if self.rule == "greater" else -min_delta
        self.strict = strict
        self.check_finite = check_finite
        self.patience = patience
        self.stopping_threshold = stopping_threshold
        self.wait_count = 0
        self.best_score = -math.inf if self.rule == "greater" else math.inf

    def state_dict(self) -> dict[str, float]:
        return {"wait_count": self.wait_count, "best_score": self.best_score}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.wait_count, self.best_score = int(state["wait_count"]), state["best_score"]

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        score = self._score(runner, metrics or {})
        if score is None:
            return
        reason = self._reason(score)
        if reason is not None:
            runner.requests.stop(reason)
            runner.logger.info(f"the run stops early: {reason}")

    def _score(self, runner: Any, metrics: dict[str, float]) -> float | None:
        if is_left_out(runner, self.monitor):
            return None
        name = find_metric(self.monitor, metrics, several=has_several(runner))
        if name is not None:
            return float(metrics[name])
        told = f"EarlyStoppingHook watches {self.monitor!r}, validation gave {', '.join(metrics)}"
        if self.strict:
            raise KeyError(told)
        runner.logger.warning(told)
        return None

    def _better(self, score: float, than: float) -> bool:
        return score > than if self.rule == "greater" else score < than

    def _reason(self, score: float) -> str | None:
        """Why to stop now, if so; remembers the best score and how long it has stood."""
        if self.check_finite and not math.isfinite(score):
            return f"{self.monitor} is {score}"
        limit = self.stopping_threshold
        if limit is not None and (self._better(score, limit) or score == limit):
            return f"{self.monitor} is {score:g} and reached {limit:g}"
        if self._better(score, self.best_score + self.min_delta):
            self.best_score, self.wait_count = score, 0
            return None
        self.wait_count += 1
        if self.wait_count < self.patience:
            return None
        return f"{self.monitor} did not improve in the last {self.wait_count} validations"

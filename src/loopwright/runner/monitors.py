"""Metrics that hooks and schedules follow, compared at the start with what there will be."""

from __future__ import annotations

from typing import Any

from loopwright.config import ConfigError
from loopwright.plan.finding import Node
from loopwright.plan.fit import check_monitors

_VALIDATION = ("val_cfg", "val_dataloader", "val_evaluator", "default_scope")
_WATCHING = ("default_hooks", "custom_hooks", "param_scheduler")


def refuse_unknown_monitors(runner: Any) -> None:
    """Raise ConfigError where a monitor names a metric that no validation of the run will give.

    What configs say is looked at first, for it has a place; then the hooks that are there. Metrics
    that are not ours are not known before they are computed, so nothing is refused with them.
    """
    validation = {key: getattr(runner.spec, key) for key in _VALIDATION}
    said = {key: getattr(runner.spec, key) for key in _WATCHING}
    there = {"custom_hooks": [_stand_in(hook) for hook in runner.hooks]}
    for watching in (said, there):
        root = Node({**validation, **watching}, "")
        told = "\n".join(str(f) for f in check_monitors(root) if f.level == "error")
        if told:
            raise ConfigError(told.removeprefix("error: "))


def _stand_in(hook: Any) -> dict[str, Any]:
    """What a built hook watches, as its config would say it."""
    found = {key: getattr(hook, key, None) for key in ("save_best", "monitor")}
    words = {key: value for key, value in found.items() if isinstance(value, str | list | tuple)}
    return {"type": type(hook).__name__, **words}

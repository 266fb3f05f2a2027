"""The hooks that a run has without saying so: data alone, read without torch."""

from __future__ import annotations

from typing import Any

DEFAULT_HOOKS: dict[str, dict[str, Any]] = {
    "runtime_info": {"type": "RuntimeInfoHook"},
    "finite_loss": {"type": "FiniteLossHook"},
    "timer": {"type": "IterTimerHook"},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "logger": {"type": "LoggerHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
}
KNOWN = (*DEFAULT_HOOKS, "visualization", "early_stopping", "ema")


def completed(name: str, cfg: Any) -> Any:
    """The config of a default hook with what it leaves unsaid, where it says no ``type``."""
    if not isinstance(cfg, dict) or "type" in cfg or name not in DEFAULT_HOOKS:
        return cfg
    whole = cfg.copy()
    for key, value in DEFAULT_HOOKS[name].items():
        whole.setdefault(key, value)
    return whole

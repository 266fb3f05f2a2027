"""What a DefaultTrainer reads of its config beside the parts: how long, how often, where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loopwright.config import ConfigError
from loopwright.config.provenance import origin_of


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Counts are iterations; 0 as a period means never.

    ``precise_bn`` is how many batches measure batch norm's statistics before an evaluation.
    """

    output_dir: str
    max_iter: int
    eval_period: int = 0
    log_period: int = 20
    checkpoint_period: int = 5000
    max_to_keep: int | None = None
    weights: str = ""
    amp: bool = False
    precise_bn: int = 0
    seed: int | None = None
    gather_metric_period: int = 20
    zero_grad_before_forward: bool = False
    expected_results: tuple[Any, ...] = ()
    ddp: dict[str, Any] = field(default_factory=dict)


def positive(cfg: Any, key: str, default: Any = None) -> int:
    """The whole number of at least 1 under a key; ConfigError, with its place, for others."""
    value = cfg.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        origin = origin_of(cfg, key)
        place = f"{origin}: " if origin else ""
        raise ConfigError(f"{place}{key} must be a whole number of at least 1, got {value!r}")
    return value

"""Overrides of a run's config: what every run has may be set although the file does not say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loopwright.build.default_hooks import KNOWN
from loopwright.build.spec import KEYS
from loopwright.config import Config, apply_overrides, parse_override


def overridden(cfg: Config, overrides: Iterable[str]) -> Any:
    """``cfg`` with each ``key=value``; a key that no run has is an error, unless said with ``+``.

    >>> cfg = Config(dict(model=dict(type="Net")))
    >>> overridden(cfg, ["randomness.seed=3", "default_hooks.logger.interval=5"]).randomness
    {'seed': 3}
    """
    return apply_overrides(cfg, [_added(cfg, text) for text in overrides])


def _added(cfg: Any, text: str) -> str:
    """An override that sets what a run has, but the file does not say, as one that adds it."""
    override = parse_override(text)
    first, *rest = override.path
    if override.op:
        return text
    if first not in cfg:
        return f"+{text.strip()}" if first in KEYS else text
    if first == "default_hooks" and isinstance(cfg[first], dict) and rest:
        hook = rest[0]
        return f"+{text.strip()}" if hook in KNOWN and hook not in cfg[first] else text
    return text

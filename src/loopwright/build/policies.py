"""What a run does about faults and about a config that changed: two sections, checked once."""

from __future__ import annotations

from typing import Any

from loopwright.config import ConfigError
from loopwright.config.provenance import origin_of
from loopwright.core.nearest import nearest_or_all

RESUMING = ("keep", "rescale", "refuse")
ON_RESUME = {"schedule": "rescale", "batch_size": "rescale", "dataset": "refuse"}
FAULTS: dict[str, Any] = {
    "max_failed_saves": 3,
    "on_oom": "stop",
    "max_oom": 10,
    "on_sigusr1": "continue",
    "others_files": "warn",
}
_CHOICES = {
    "on_oom": ("stop", "skip", "split"),
    "on_sigusr1": ("continue", "stop"),
    "others_files": ("warn", "refuse", "ignore"),
}


def on_resume(given: dict[str, Any]) -> dict[str, str]:
    """``on_resume`` with its defaults; ConfigError for a key or a policy that there is not.

    >>> on_resume({"schedule": "keep"})
    {'schedule': 'keep', 'batch_size': 'rescale', 'dataset': 'refuse'}
    """
    for key, value in given.items():
        _known("on_resume", given, key, tuple(ON_RESUME))
        _one_of("on_resume", given, key, value, RESUMING)
    return {**ON_RESUME, **given}


def faults(given: dict[str, Any]) -> dict[str, Any]:
    """``faults`` with its defaults; ConfigError for a key or a value that there is not.

    >>> faults({"on_oom": "skip"})["on_oom"], faults({})["max_failed_saves"]
    ('skip', 3)
    """
    for key, value in given.items():
        _known("faults", given, key, tuple(FAULTS))
        if key in _CHOICES:
            _one_of("faults", given, key, value, _CHOICES[key])
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(
                f"{_at(given, key)}faults.{key} must be an integer of at least 1, got {value!r}"
            )
    return {**FAULTS, **given}


def _known(section: str, given: dict[str, Any], key: str, known: tuple[str, ...]) -> None:
    if key not in known:
        hint = nearest_or_all(key, known)
        raise ConfigError(f"{_at(given, key)}{section} has no key {key!r}{hint}")


def _one_of(
    section: str, given: dict[str, Any], key: str, value: Any, choices: tuple[str, ...]
) -> None:
    if value not in choices:
        raise ConfigError(
            f"{_at(given, key)}{section}.{key} must be one of {', '.join(choices)}, got {value!r}"
        )


def _at(given: dict[str, Any], key: str) -> str:
    origin = origin_of(given, key)
    return f"{origin}: " if origin else ""

"""Which hooks a run has: the defaults, what the config changes of them, and the user's own."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from loopwright.build.default_hooks import DEFAULT_HOOKS, KNOWN, completed
from loopwright.build.spec import check_section
from loopwright.config import ConfigError
from loopwright.core import get_priority
from loopwright.hooks import Hook
from loopwright.registry import HOOKS

OF_ANY_HOOK = ("priority", "on_error")  # in a hook's config, but no arguments of its class
ON_ERROR = ("stop", "disable")


def hook_configs(
    default: dict[str, Any] | None, custom: list[Any] | None, *, strict: bool = True
) -> list[tuple[str, Any]]:
    """Every hook to add as (where it was said, config or object), in order of registration.

    ``default`` replaces defaults by name; one without ``type`` changes arguments of the default,
    None removes it.

    >>> dict(hook_configs({"checkpoint": {"interval": 5}}, None))["default_hooks.checkpoint"]
    {'interval': 5, 'type': 'CheckpointHook'}
    """
    chosen: dict[str, Any] = {**DEFAULT_HOOKS}
    for name, cfg in (default or {}).items():
        chosen[name] = completed(name, cfg)
        if strict and name not in KNOWN:
            _refuse_misspelt(name, default or {})
    said = [(f"default_hooks.{name}", cfg) for name, cfg in chosen.items() if cfg is not None]
    return said + [(f"custom_hooks.{i}", cfg) for i, cfg in enumerate(custom or ())]


def _refuse_misspelt(name: str, section: dict[str, Any]) -> None:
    if get_close_matches(name, KNOWN, n=1, cutoff=0.8):
        check_section("default_hooks", {name: section[name]}, KNOWN)


def build_hook(cfg: Any, where: str = "custom_hooks") -> tuple[Any, int]:
    """A hook and the number that orders it; ``priority`` in the config wins over the class's.

    ``on_error='disable'`` in the config leaves the hook out from its first error on, instead of
    ending the run: for hooks that only watch. Raises ConfigError for something that is no hook,
    ValueError for an unknown priority.
    """
    if not isinstance(cfg, dict):
        return cfg, get_priority(getattr(cfg, "priority", "NORMAL"))
    arguments = {key: value for key, value in cfg.items() if key not in OF_ANY_HOOK}
    hook = HOOKS.build(_like(cfg, arguments))
    if "on_error" in cfg:
        hook.on_error = _checked(cfg["on_error"], where)
    if not isinstance(hook, Hook) and not hasattr(hook, "before_train"):
        raise ConfigError(f"{where}: {type(hook).__name__} is not a hook; derive it from Hook")
    said = cfg.get("priority", getattr(hook, "priority", "NORMAL"))
    try:
        return hook, get_priority(said)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: {error}") from None


def _like(cfg: Any, arguments: dict[str, Any]) -> Any:
    """``arguments`` as a copy of ``cfg`` that still knows where its keys were written."""
    if set(cfg) == set(arguments):
        return cfg
    copied = cfg.copy()
    for key in OF_ANY_HOOK:
        copied.pop(key, None)
    return copied if set(copied) == set(arguments) else arguments


def _checked(on_error: Any, where: str) -> str:
    if on_error not in ON_ERROR:
        raise ConfigError(
            f"{where}.on_error must be one of {', '.join(ON_ERROR)}, got {on_error!r}"
        )
    return str(on_error)

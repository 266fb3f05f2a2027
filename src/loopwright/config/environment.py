"""The environment as a config may see it: one variable at a time, by name, noted down."""

from __future__ import annotations

import os
from typing import Any

from loopwright.config.deferred import Deferred
from loopwright.config.errors import ConfigError, brief
from loopwright.config.limits import Fuel
from loopwright.config.operators import Bounded

ENVIRON = Deferred("os", "environ").dotted
_ABSENT: Any = object()


class Environment:
    """Reads variables for a config; ``used`` says which it was given (``Config.env_variables``).

    ``{{$NAME:default}}``, ``os.environ.get``, ``os.environ[…]`` and ``os.getenv`` all come here.
    """

    def __init__(self, *, readable: bool = True) -> None:
        self.readable = readable
        self.used: dict[str, str] = {}

    def get(self, name: Any, default: Any = None) -> Any:
        """``os.environ.get``."""
        if not self.readable:
            raise ConfigError(
                f"{name!r} is read from the environment, which use_environment_variables=False bars"
            )
        if not isinstance(name, str):
            raise ConfigError(f"a variable of the environment has a name, not {brief(name)}")
        value = os.environ.get(name, default)
        if isinstance(value, str):
            self.used[name] = value
        return value

    def item(self, name: Any) -> str:
        """``os.environ[name]``."""
        value = self.get(name, _ABSENT)
        if value is _ABSENT:
            raise ConfigError(f"environment variable {name!r} is not set")
        return str(value)

    def holds(self, name: Any) -> bool:
        """``name in os.environ``."""
        return self.get(name, _ABSENT) is not _ABSENT

    def home(self, path: Any) -> Any:
        """``os.path.expanduser`` of one's own home."""
        if isinstance(path, str) and (path == "~" or path.startswith("~/")):
            return str(self.get("HOME", "~")).rstrip("/") + path[1:]
        return path

    def function(self, dotted: str) -> Bounded | None:
        """The reading that a dotted name stands for."""
        if dotted == "os.path.expanduser":
            return lambda fuel, path: self.home(path)
        if dotted not in ("os.environ.get", "os.getenv"):
            return None
        return lambda fuel, key, default=None: self.get(_paid(fuel, key), default)


def _paid(fuel: Fuel, name: Any) -> Any:
    fuel.spelled(name)
    return name

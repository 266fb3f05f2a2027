"""The ``{{…}}`` forms of a text config: file name parts, environment variables, base values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from loopwright.config.environment import Environment
from loopwright.config.errors import ConfigError
from loopwright.config.limits import LIMITS, Fuel
from loopwright.config.provenance import Origin

_PREDEFINED = re.compile(
    r"\{\{\s*(fileDirname|fileBasenameNoExtension|fileBasename|fileExtname)\s*\}\}"
)
_ENVIRONMENT = re.compile(
    r"\{\{\s{0,40}(['\"]?)\s{0,40}\$\s{0,40}([^{}:\n'\"]+):([^{}\n]*?)\1\s{0,40}\}\}"
)
_BASE = re.compile(r"\{\{\s*_base_((?:\.[\w.]+|\[[^\]{}\n]+\])+)\s*\}\}")


def predefined(text: str, path: str) -> str:
    """``text`` with ``{{fileDirname}}`` and its like filled in from ``path``."""
    name = os.path.basename(path)
    stem, extension = os.path.splitext(name)
    parts = {
        "fileDirname": os.path.dirname(path),
        "fileBasename": name,
        "fileBasenameNoExtension": stem,
        "fileExtname": extension,
    }
    return _filled(_PREDEFINED, lambda match: parts[match[1]].replace("\\", "/"), text)


def environment(text: str, path: str, variables: Environment) -> str:
    """``text`` with ``{{$NAME:default}}`` filled in from the environment."""

    def fill(match: re.Match[str]) -> str:
        name, default = match[2].strip(), match[3].strip()
        value = variables.get(name, default)
        if not value:
            line = text.count("\n", 0, match.start()) + 1
            raise ConfigError(
                f"environment variable {name!r} is not set and {match[0]} has no default",
                Origin(path, line),
            )
        return str(value)

    return _filled(_ENVIRONMENT, fill, text)


def base_filler(base: Mapping[str, Any], fuel: Fuel) -> Callable[[str], str]:
    """A function that fills ``{{_base_.a.b}}`` inside a string."""

    def value(match: re.Match[str]) -> str:
        found = _follow(base, match[1])
        fuel.spelled(found)
        return str(found)

    return lambda text: _filled(_BASE, value, text) if "{{" in text else text


def _filled(form: re.Pattern[str], value: Callable[[re.Match[str]], str], text: str) -> str:
    """``text`` with what ``form`` finds replaced, which may not make it grow without end."""
    length = len(text)

    def put(match: re.Match[str]) -> str:
        nonlocal length
        new = value(match)
        length += len(new)
        if length > LIMITS.file_bytes + len(text):
            raise ConfigError(f"what {{{{…}}}} stands for is over {LIMITS.file_bytes} characters")
        return new

    return form.sub(put, text)


def whole_base_value(text: str) -> str | None:
    """``a.b`` where ``text`` is exactly ``{{_base_.a.b}}``."""
    match = _BASE.fullmatch(text.strip())
    return match[1] if match else None


def _follow(base: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]'\"]+", path):
        try:
            base = base[int(part) if isinstance(base, list | tuple) else part]
        except (LookupError, TypeError, ValueError):
            raise ConfigError(f"{{{{_base_{path}}}}}: the base has no {part!r}") from None
    return base


follow = _follow

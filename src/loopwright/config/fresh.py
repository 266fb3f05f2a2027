"""What a file writes itself and what it inherits: dicts that behave as Python's, until settled."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from loopwright.config.deferred import Deferred
from loopwright.config.errors import TRUST_HINT, ConfigError
from loopwright.config.limits import Fuel, names
from loopwright.config.node import ConfigDict, make

DENIED = names(
    """os posix nt sys subprocess builtins shutil socket pickle marshal ctypes importlib runpy
    code codeop pty signal multiprocessing threading asyncio tempfile webbrowser urllib http
    ftplib smtplib requests pathlib io function"""
)
SYSTEM = DENIED - {"builtins", "function"}
PLAIN_TYPES = frozenset({"dict", "list", "tuple", "set", "int", "float", "str", "bool", "bytes"})


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Defined:
    """A function that a config defines: its own files may call it, no run can hold it."""

    name: str
    node: ast.FunctionDef
    defaults: dict[str, Any]
    reader: Any
    scopes: tuple[dict[str, Any], ...]

    def __repr__(self) -> str:
        return f"<function {self.name}>"


class Fresh(ConfigDict):
    """A dict written in the file being read: its methods are Python's, until the file ends."""

    __slots__ = ()

    def __copy__(self) -> Fresh:
        fresh: Fresh = make(self, dict(self.origins_of()), Fresh)
        return fresh

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return dict.setdefault(self, key, default)

    def __or__(self, other: Any) -> Any:
        if not isinstance(other, Fresh):
            return NotImplemented
        origins = {**self.origins_of(), **other.origins_of()}
        return make({**self, **other}, origins, Fresh)


def adopt(value: Any) -> Any:
    """``value`` as an inherited dict takes it in.

    What this file wrote is copied, so that later changes to the variable it came from do not
    reach it; inherited dicts are shared. Both as in MMEngine.
    """
    kind = value.__class__
    if kind is Fresh:
        return make({key: adopt(child) for key, child in value.items()}, dict(value.origins_of()))
    if kind is list or kind is tuple:
        return kind([adopt(child) for child in value])
    return value


def settle(value: Any, fuel: Fuel, *, part: bool = False) -> Any:
    """``value`` with what the file wrote made ConfigDicts, its size and its names checked.

    A dict that the file wrote once and uses twice becomes two; inherited dicts stay shared, as in
    MMEngine, unless ``part`` asks for a tree without any shared parts.
    """
    fuel.weigh(value)
    return _settle(value, "", {}, part)


def _settle(value: Any, path: str, seen: dict[int, bool], part: bool) -> Any:
    """``seen`` tells of each container met whether a second meeting makes a copy."""
    kind = value.__class__
    if kind is Fresh or kind is ConfigDict:
        return _settle_dict(value, path, seen, part)
    if kind is list:
        result = list(value) if id(value) in seen else value
        seen[id(result)] = True
        for index, child in enumerate(result):
            if child.__class__ in _SETTLED:
                result[index] = _settle(child, path, seen, part)
        return result
    if kind is tuple:
        return tuple([_settle(child, path, seen, part) for child in value])
    if kind is Deferred:
        check_name(value, path)
    if kind is Defined:
        raise ConfigError(f"{path.lstrip('.')} is the function {value.name!r}: {TRUST_HINT}")
    return value


def _settle_dict(value: ConfigDict, path: str, seen: dict[int, bool], part: bool) -> ConfigDict:
    copies = seen.get(id(value))
    if copies is False:
        return value
    if copies:
        value = value.copy()
    seen[id(value)] = part or value.__class__ is Fresh or bool(copies)
    for key, child in value.items():
        if child.__class__ in _SETTLED:
            dict.__setitem__(value, key, _settle(child, f"{path}.{key}", seen, part))
    if value.__class__ is Fresh:
        object.__setattr__(value, "__class__", ConfigDict)
    return value


_SETTLED = frozenset({Fresh, ConfigDict, list, tuple, Deferred, Defined})


def check_name(name: Deferred, path: str) -> None:
    """Refuse a name that no part of a run can be: what starts processes or touches files."""
    root = name.dotted.partition(".")[0]
    if root in DENIED and not (root == "builtins" and name.name in PLAIN_TYPES):
        raise ConfigError(f"{path.lstrip('.')} names {name.dotted}, which no config may use")


def stamp_scope(value: Any, scope: str) -> None:
    """Give each outermost dict with a ``type`` the ``_scope_`` of the library it came from."""
    if isinstance(value, dict):
        if "type" in value:
            value.setdefault("_scope_", scope)
            return
        for child in value.values():
            stamp_scope(child, scope)
    elif isinstance(value, list | tuple):
        for child in value:
            stamp_scope(child, scope)

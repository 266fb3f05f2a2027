"""The names that the modules of ``custom_imports`` register, read from their text, not imported."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from loopwright.config.provenance import origin_of
from loopwright.core.nearest import did_you_mean

MAX_BYTES = 1 << 20
MAX_FILES = 200


def absent(values: dict[str, Any]) -> Iterator[str]:
    """What to say of listed modules that are not there while one of nearly that name is.

    A module that is not here at all may be where the run is, and is not spoken of.
    """
    section = values.get("custom_imports")
    if not isinstance(section, dict) or section.get("allow_failed_imports"):
        return
    folders = _folders(section)
    for module in _listed(section):
        top = module.partition(".")[0]
        if top in sys.modules or any(_files(top, folders)) or _installed(top):
            continue
        hint = did_you_mean(top, [m.name for m in iter_modules(map(str, folders))], cutoff=0.8)
        if hint and not any((folder / top).is_dir() for folder in folders):
            yield f"there is no module {top!r}{hint}"


def _installed(top: str) -> bool:
    try:
        return find_spec(top) is not None
    except (ValueError, ImportError):
        return False


def _listed(section: dict[str, Any]) -> list[str]:
    listed = section.get("imports") or []
    listed = [listed] if isinstance(listed, str) else listed
    return [str(module) for module in listed] if isinstance(listed, list | tuple) else []


def _folders(section: dict[str, Any]) -> list[Path]:
    """Where a run looks first: beside the config, and in the current folder."""
    origin = origin_of(section, "imports")
    beside = os.path.dirname(origin.file) if origin is not None else ""
    return [Path(folder) for folder in dict.fromkeys((beside or ".", "."))]


def registered(values: dict[str, Any]) -> dict[str, str]:
    """Names to the modules that would register them, for modules beside the config or in the
    current folder; a package is read whole.
    """
    section = values.get("custom_imports")
    if not isinstance(section, dict):
        return {}
    folders = _folders(section)
    found: dict[str, str] = {}
    for module in _listed(section):
        for name, file in _files(module, folders):
            found.update(dict.fromkeys(_names(file), name))
    return found


def _files(module: str, folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """A module's file, or those of a package, each with the module's name."""
    for folder in folders:
        place = folder.joinpath(*module.split("."))
        if place.with_suffix(".py").is_file():
            yield module, place.with_suffix(".py")
            return
        if (place / "__init__.py").is_file():
            for file in sorted(place.rglob("*.py"))[:MAX_FILES]:
                inner = file.relative_to(place).with_suffix("").parts
                yield ".".join((module, *(part for part in inner if part != "__init__"))), file
            return


def _names(file: Path) -> Iterator[str]:
    """What ``@SOMETHING.register_module(...)`` registers in a file."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return
        tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for decorator in node.decorator_list:
                yield from _registered_as(decorator, node.name)


def _registered_as(decorator: ast.expr, name: str) -> Iterator[str]:
    call = decorator if isinstance(decorator, ast.Call) else None
    called = call.func if call is not None else decorator
    if not isinstance(called, ast.Attribute) or called.attr != "register_module":
        return
    given = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "name")] if call else []
    texts = [one.value for each in given for one in ast.walk(each) if isinstance(one, ast.Constant)]
    said = [text for text in texts if isinstance(text, str)]
    yield from said or [name]

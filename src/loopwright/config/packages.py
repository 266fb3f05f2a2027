"""Where ``library::path`` bases lie: given folders, an environment variable, installed packages.

Nothing is imported: an installed package is found as a folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from typing import Any

from loopwright.config.errors import ConfigError

VARIABLE = "LOOPWRIGHT_CONFIG_PATH"


def find(library: str, path: str, given: Mapping[str, str], origin: Any = None) -> str:
    """The file of ``library::path``.

    Looked up in ``given[library]``, then in the folders of ``LOOPWRIGHT_CONFIG_PATH`` (entries
    ``folder`` or ``library=folder``), then in the ``.mim`` folder of the installed package.
    """
    if not library.isidentifier():
        raise ConfigError(f"{library!r} is no library name", origin)
    roots = list(folders(library, given))
    for root in roots:
        for inner in (".mim/configs", "configs", ""):
            file = os.path.normpath(os.path.join(root, inner, path))
            if _inside(file, root) and os.path.isfile(file):
                return file
    if not roots:
        raise ConfigError(
            f"{library}::{path}: {library} is not installed; give its folder with "
            f"packages={{{library!r}: folder}} or {VARIABLE}={library}=folder",
            origin,
        )
    raise ConfigError(f"{library}::{path} is not in {', '.join(roots)}", origin)


def folders(library: str, given: Mapping[str, str]) -> Iterator[str]:
    """Every folder that may hold the configs of ``library``, in the order they are tried."""
    if library in given:
        yield os.path.abspath(given[library])
    for entry in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        name, named, folder = entry.partition("=")
        root = os.path.abspath(folder) if named else os.path.abspath(os.path.join(entry, library))
        if (not named or name == library) and os.path.isdir(root):
            yield root
    for entry in sys.path:
        root = os.path.join(entry, library)
        if os.path.isdir(os.path.join(root, ".mim")):
            yield root
    yield from _editable(library)


def _editable(library: str) -> Iterator[str]:
    spec = PathFinder.find_spec(library)
    if spec is None or not spec.origin:
        return
    root = os.path.dirname(spec.origin)
    if os.path.isdir(os.path.join(root, "configs")):
        yield root
    if os.path.isdir(os.path.join(os.path.dirname(root), "configs")):
        yield os.path.dirname(root)


def _inside(file: str, root: str) -> bool:
    real = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(file), real]) == real

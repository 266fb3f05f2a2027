"""Importing the modules that a config names in ``custom_imports``: the user's own code."""

from __future__ import annotations

import importlib
import os
import sys
from pkgutil import iter_modules
from typing import Any

from loopwright.build.owners import others_in
from loopwright.build.spec import check_section
from loopwright.config import ConfigError
from loopwright.config.provenance import origin_of
from loopwright.core.nearest import did_you_mean
from loopwright.registry import allow_packages


def import_custom(cfg: dict[str, Any], filename: str | None = None) -> list[str]:
    """Import what ``custom_imports`` lists; modules beside the config are found first.

    Returns the names imported. Raises ConfigError for one that is not there (unless
    ``allow_failed_imports``), naming the folders looked in and the nearest module there, and for a
    config that others may write where that is refused; other errors of the user's module go on as
    they are.
    """
    others_in(cfg)
    section = cfg.get("custom_imports")
    if not section:
        return []
    check_section("custom_imports", section, ("imports", "allow_failed_imports"))
    names = section.get("imports") or []
    names = [names] if isinstance(names, str) else list(names)
    beside = os.path.dirname(os.path.abspath(filename)) if filename else os.getcwd()
    folders = list(dict.fromkeys((beside, os.getcwd())))
    for folder in reversed(folders):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    may_fail = bool(section.get("allow_failed_imports"))
    done = [name for name in names if _import(name, folders, may_fail, section)]
    allow_packages(*(name.partition(".")[0] for name in done))
    return done


def _import(name: str, folders: list[str], may_fail: bool, section: Any) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(missing + "."):
            raise
        if may_fail:
            return False
        raise ConfigError(
            f"custom_imports names {name!r}, which is neither installed nor a module in "
            f"{' or '.join(folders)}{_nearest(name, folders)}",
            origin_of(section, "imports"),
        ) from None
    return True


def _nearest(name: str, folders: list[str]) -> str:
    there = [module.name for module in iter_modules(folders)]
    return did_you_mean(name.partition(".")[0], there)

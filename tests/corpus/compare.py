"""Read every public config with Loopwright and with MMEngine and compare the values.

Run by an interpreter that has mmengine 0.10.7, from the root of the repository:

    PYTHONPATH=src PYTHON tests/corpus/compare.py [--cache DIR] [--also mmpose==1.3.1 …]

Ends with 1 if any value differs or fewer than 99.5 % of the files that MMEngine loads are read.
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fetch import DEFAULT_CACHE, DISTRIBUTIONS, config_files, fetch

from loopwright.config import Config, ConfigError, Deferred

WANTED = 0.995


def same(ours: Any, theirs: Any) -> bool:
    """Equal values of equal types; an imported name equals its dotted text."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list | tuple) and type(ours) is type(theirs):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, Deferred):
        return ours.dotted == getattr(theirs, "dump_str", theirs)
    return type(ours) is type(theirs) and (ours == theirs or ours != ours)


def read_theirs(path: Path) -> Any:
    """MMEngine's value as a plain dict, or the fault it ends in."""
    from mmengine.config import Config as Theirs

    try:
        cfg = Theirs.fromfile(str(path), import_custom_modules=False)
        value = cfg.to_dict() if getattr(cfg, "_imported_names", None) else cfg._cfg_dict
    except Exception as fault:
        return fault
    # A script among the configs leaves its functions behind: no config value.
    return {key: child for key, child in value.items() if not callable(child)}


def read_ours(path: Path) -> Any:
    try:
        return Config.fromfile(path)._cfg_dict
    except ConfigError as fault:
        return fault


def verdict(ours: Any, theirs: Any) -> str:
    if isinstance(theirs, Exception):
        return "both refuse" if isinstance(ours, Exception) else "only we read"
    if isinstance(ours, Exception):
        return "unread"
    return "equal" if same(ours, theirs) else "different"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME==VERSION")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    site = fetch(options.cache, (*DISTRIBUTIONS, *options.also))
    sys.path.insert(0, str(site))
    counts: collections.Counter[str] = collections.Counter()
    for path in config_files(site):
        ours, theirs = read_ours(path), read_theirs(path)
        found = verdict(ours, theirs)
        counts[found] += 1
        if found != "equal":
            fault = next((v for v in (ours, theirs) if isinstance(v, Exception)), "")
            print(f"{found}: {path.relative_to(site)}: {fault!s:.200}")
    loaded = counts["equal"] + counts["different"] + counts["unread"]
    print(f"{counts.total()} files, {loaded} of them loaded by MMEngine: {dict(counts)}")
    print(f"read and equal: {counts['equal'] / max(loaded, 1):.4%}")
    return int(counts["different"] > 0 or counts["equal"] < WANTED * loaded)


if __name__ == "__main__":
    sys.exit(main())

"""Config files that other users may have changed: told or refused, by ``faults.others_files``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from loopwright.build.policies import FAULTS
from loopwright.config import ConfigError
from loopwright.config.provenance import origin_of
from loopwright.files import not_ours_alone


def files_of(cfg: Any) -> list[str]:
    """The files that a config was read from, its bases too, as far as they left a key.

    >>> from loopwright.config import Config
    >>> files_of(Config({"a": 1}))
    []
    """
    named = (getattr(cfg, "filename", None), *_written_in(cfg))
    return sorted({os.path.abspath(file) for file in named if file and os.path.isfile(file)})


def _written_in(value: Any) -> Iterator[str]:
    """The file of every key below, also of the values that were replaced."""
    inner = value if isinstance(value, list | tuple) else ()
    if hasattr(value, "origins_of"):
        inner = tuple(value.values())
        for place in value.origins_of().values():
            while place is not None:
                yield place.file
                place = place.previous
    for each in inner:
        yield from _written_in(each)


def others_in(cfg: Any) -> list[str]:
    """Why somebody else may have changed a file of the config, a sentence a file.

    Raises ConfigError where ``faults.others_files`` is 'refuse'; 'ignore' looks at none.
    """
    section = cfg.get("faults")
    section = section if isinstance(section, dict) else {}
    policy = section.get("others_files", FAULTS["others_files"])
    if policy == "ignore":
        return []
    found = [text for text in map(not_ours_alone, files_of(cfg)) if text is not None]
    if found and policy == "refuse":
        text = f"{'; '.join(found)} (faults.others_files='refuse')"
        raise ConfigError(text, origin_of(section, "others_files"))
    return found

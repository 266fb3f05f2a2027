"""Alias packages: `import mmengine` or `import detectron2` answered by Loopwright, on request.

>>> install("mmengine")
>>> from mmengine.hooks import Hook
>>> Hook.__module__
'loopwright.hooks.hook'
>>> uninstall("mmengine")
"""

from __future__ import annotations

from collections.abc import Iterable

from loopwright.compat import detectron2, libraries, mmengine
from loopwright.compat.finder import Alias, Finder
from loopwright.core.nearest import did_you_mean
from loopwright.registry import allow_packages

__all__ = ["install", "installed", "uninstall"]

_INSTALLED: dict[str, Finder] = {}


def install(name: str, *, force: bool = False, more: Iterable[str] = ()) -> None:
    """Answer imports of ``mmengine`` or ``detectron2`` (and their submodules) with our parts.

    With ``"mmengine"`` also ``<library>.registry`` and ``<library>.utils`` of the OpenMMLab
    libraries (mmseg, mmdet, mmselfsup, …, and those in ``more``); with ``"detectron2"`` lazy
    configs may name things of the packages in ``more``, which are yours. Whatever is really
    installed wins, unless ``force``. Doing it twice changes nothing.

    Raises ValueError for another name.
    """
    aliases = _aliases(name, more)
    if name == "detectron2":
        allow_packages(*detectron2.PACKAGES, *more)
    if name in _INSTALLED and not force:
        _INSTALLED[name].aliases.update(aliases)
        return
    uninstall(name)
    finder = Finder(aliases)
    finder.enter(first=force)
    _INSTALLED[name] = finder
    if name == "detectron2":
        detectron2.hand_lines_to("loopwright")


def uninstall(name: str) -> None:
    """Undo `install`: modules that answered leave `sys.modules`, those they hid come back.

    The registries of libraries that were answered go, with what was registered in them.
    """
    finder = _INSTALLED.pop(name, None)
    if finder is None:
        return
    finder.leave()
    if name == "mmengine":
        libraries.forget()
    if name == "detectron2":
        detectron2.hand_lines_to("root")


def installed() -> tuple[str, ...]:
    """The names that are answered now."""
    return tuple(_INSTALLED)


def _aliases(name: str, more: Iterable[str]) -> dict[str, Alias]:
    if name == "mmengine":
        return mmengine.aliases() | libraries.aliases(more)
    if name == "detectron2":
        return detectron2.aliases()
    hint = did_you_mean(name, ("mmengine", "detectron2"))
    raise ValueError(f"compat.install takes 'mmengine' or 'detectron2', got {name!r}{hint}")

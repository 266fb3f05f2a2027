"""The small surface that code for OpenMMLab's libraries imports: ``registry`` and ``utils``.

A library's registries are children of ours, of the library's scope, as its own would be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loopwright.compat.finder import Alias
from loopwright.registry import ROOTS, Registry, init_default_scope

LIBRARIES = (
    "mmaction",
    "mmagic",
    "mmcls",
    "mmdet",
    "mmdet3d",
    "mmedit",
    "mmeval",
    "mmfewshot",
    "mmgen",
    "mmocr",
    "mmpose",
    "mmpretrain",
    "mmrazor",
    "mmrotate",
    "mmseg",
    "mmselfsup",
    "mmtrack",
    "mmyolo",
    "sscma",
)


def aliases(more: Iterable[str] = ()) -> dict[str, Alias]:
    """The modules answered for each library, and for mmcv."""
    found = {}
    for library in (*LIBRARIES, *more):
        registries = {name: _Child(library, name) for name in ROOTS}
        for alias in (
            Alias(library, extra={"__version__": "0.0.0"}),
            LibraryAlias(f"{library}.registry", extra=registries),
            Alias(f"{library}.utils", ("loopwright.compat.mm_utils",), _utils(library)),
        ):
            found[alias.name] = alias
    for alias in (
        Alias("mmcv", extra={"__version__": "2.2.0"}),
        Alias("mmcv.transforms", ("@TRANSFORMS", "loopwright.data.transforms")),
    ):
        found[alias.name] = alias
    return found


class _Child:
    """A library's registry that is made when it is first asked for."""

    def __init__(self, package: str, name: str) -> None:
        self.package, self.name = package, name

    def registry(self) -> Registry:
        parent = ROOTS[self.name]
        if self.package not in parent.children:
            Registry(parent.name, parent=parent, scope=self.package)
            _MADE.append((parent, self.package))
        return parent.children[self.package]


_MADE: list[tuple[Registry, str]] = []


def forget() -> None:
    """Drop the child registries made here, with what was registered in them."""
    while _MADE:
        parent, library = _MADE.pop()
        parent.children.pop(library, None)


class LibraryAlias(Alias):
    """``<library>.registry``."""

    def find(self, name: str) -> Any:
        found = super().find(name)
        return found.registry() if isinstance(found, _Child) else found


def _utils(library: str) -> dict[str, Any]:
    def register_all_modules(init_default_scope_: bool = True, **scope: bool) -> None:
        """Set the default scope; there is nothing to import."""
        if scope.get("init_default_scope", init_default_scope_):
            init_default_scope(library)

    return {
        "get_model": "loopwright.model:unwrap",
        "register_all_modules": register_all_modules,
        "get_root_logger": "loopwright.log:MMLogger",
    }

"""Classes by the names of configs, with or without the library that a config says they are from."""

from __future__ import annotations

from typing import Any

from loopwright.registry import Registry
from loopwright.registry.build import resolve

LIBRARIES = frozenset(
    {
        *("mmaction", "mmagic", "mmcls", "mmdet", "mmdet3d", "mmedit", "mmflow", "mmgen", "mmocr"),
        *("mmpose", "mmpretrain", "mmrazor", "mmrotate", "mmseg", "mmselfsup", "mmtrack"),
        *("mmyolo", "sscma"),
    }
)
"""Libraries whose optimizers, schedulers and constructors are answered by ours of the same name."""


def find(kind: Any, registry: Registry, cfg: Any) -> Any:
    """The class or function of a `type`; `mmdet.AdamW` is `AdamW` where nothing else is meant."""
    if isinstance(kind, str):
        library, _, name = kind.partition(".")
        own = kind in registry.module_dict
        if library in LIBRARIES and not own and _no_scope(library, registry):
            kind = name
    return resolve(kind, registry, cfg)


def _no_scope(library: str, registry: Registry) -> bool:
    """Whether the library itself has not registered anything."""
    return all(member.scope != library for member in registry.root.family())

"""Where a node stands: the configs that were loaded, for references that lead out of a node."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any

_LOADED: deque[weakref.ref[Any]] = deque(maxlen=32)


def remember(config: Any) -> Any:
    """A config that parts may be taken out of later; it is not kept alive."""
    if isinstance(config, dict):
        _LOADED.append(weakref.ref(config))
    return config


def above(node: Any) -> list[dict[Any, Any]]:
    """The dicts around a node of a remembered config, outermost first; none around a whole one."""
    for known in reversed(_LOADED):
        root = known()
        found = None if root is None else _way(root, node, set())
        if found is not None:
            return found
    return []


def _way(place: Any, node: Any, seen: set[int]) -> list[dict[Any, Any]] | None:
    """The dicts from a place down to a node, which is met by identity; None where it is not."""
    if place is node:
        return []
    if not isinstance(place, dict | list | tuple) or id(place) in seen:
        return None
    seen.add(id(place))
    for child in place.values() if isinstance(place, dict) else place:
        found = _way(child, node, seen)
        if found is not None:
            return [place, *found] if isinstance(place, dict) else found
    return None

"""How a config inherits: ``merge(base, over)``, pure, with MMEngine's rules."""

from __future__ import annotations

from typing import Any

from loopwright.config.errors import ConfigError
from loopwright.config.node import ConfigDict, convert, duplicate, make
from loopwright.config.provenance import origin_of

DELETE = "_delete_"


def merge(base: ConfigDict, over: ConfigDict, *, list_keys: bool = False) -> ConfigDict:
    """``base`` with ``over`` on top, as a new config; neither argument changes.

    Dicts merge, everything else is replaced whole; ``_delete_=True`` in a dict replaces the
    inherited one. With ``list_keys`` a dict with numeric keys changes elements of a list.

    >>> base = ConfigDict(model=dict(depth=50, width=1), steps=[1, 2])
    >>> merge(base, ConfigDict(model=dict(depth=101), steps=[3]))
    {'model': {'depth': 101, 'width': 1}, 'steps': [3]}
    >>> merge(base, ConfigDict(model=dict(_delete_=True, depth=18)))
    {'model': {'depth': 18}, 'steps': [1, 2]}
    """
    return _merge(base, over, "", list_keys)


def _merge(base: ConfigDict, over: ConfigDict, path: str, list_keys: bool) -> ConfigDict:
    result = make(base, dict(base.origins_of()))
    origins = result.origins_of()
    places = over.origins_of()
    for key, value in over.items():
        before = dict.get(base, key)
        place = places.get(key)
        if isinstance(value, ConfigDict) and key in base:
            value = _inherit(before, value, f"{path}.{key}" if path else str(key), over, list_keys)
        dict.__setitem__(result, key, value)
        if place is not None:
            origins[key] = place.over(origins.get(key), before)
        else:
            origins.pop(key, None)
    return result


def _inherit(before: Any, value: ConfigDict, path: str, over: ConfigDict, list_keys: bool) -> Any:
    """What a dict in the child becomes on top of what the base has under its key."""
    if value.get(DELETE, False):
        return without(value, DELETE)
    value = without(value, DELETE) if DELETE in value else value
    if isinstance(before, ConfigDict):
        return _merge(before, value, path, list_keys)
    if isinstance(before, dict):
        return _merge(ConfigDict(before), value, path, list_keys)
    if list_keys and isinstance(before, list):
        return _into_list(before, value, path)
    raise ConfigError(
        f"{path} is a dict here but {type(before).__name__} ({before!r:.60}) in the base; "
        f"add _delete_=True to replace it",
        origin_of(over, path.rpartition(".")[2]),
    )


def _into_list(before: list[Any], value: ConfigDict, path: str) -> list[Any]:
    """A list with the elements that the numeric keys of ``value`` name changed."""
    result = list(before)
    for key, item in value.items():
        text = str(key)
        if not text.isdigit() or int(text) >= len(result):
            raise ConfigError(
                f"{path} is a list of {len(result)} elements: {key!r} is no index into it",
                origin_of(value, key),
            )
        index = int(text)
        old = ConfigDict(_=result[index])
        result[index] = _merge(old, ConfigDict(_=item), f"{path}.{key}", True)["_"]
    return result


def without(node: ConfigDict, key: str) -> ConfigDict:
    """A shallow copy of ``node`` that lacks ``key``."""
    result = node.copy()
    result.pop(key, None)
    return result


__all__ = ["DELETE", "convert", "duplicate", "merge", "without"]

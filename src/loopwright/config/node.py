"""ConfigDict: a dict with attribute access that remembers where each key was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.config.errors import MissingAttribute, MissingKey
from loopwright.config.provenance import Origin

_MISSING: Any = object()


class ConfigDict(dict):
    """A dict whose keys are attributes too; dicts put into it become ConfigDicts.

    >>> cfg = ConfigDict(optimizer=dict(type="SGD", lr=0.1))
    >>> cfg.optimizer.lr
    0.1
    >>> cfg.update(optimizer=dict(lr=0.2))        # dicts merge, as in MMEngine
    >>> cfg == dict(optimizer=dict(type="SGD", lr=0.2))
    True
    >>> cfg.optimzer
    Traceback (most recent call last):
    ...
    loopwright.config.errors.MissingAttribute: no key 'optimzer'; did you mean 'optimizer'?
    """

    __slots__ = ("__weakref__", "_origins")
    _origins: dict[Any, Origin]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        source = args[0] if len(args) == 1 and not kwargs else None
        known = _origins_of(source) if isinstance(source, ConfigDict) else {}
        _set_origins(self, dict(known))
        super().__init__(*args, **kwargs)
        for key, value in self.items():
            if value.__class__ in _CONVERTED:
                dict.__setitem__(self, key, convert(value))

    def origins_of(self) -> dict[Any, Origin]:
        """The place of each key; keys set by a program have none."""
        return _origins_of(self)

    def mark(self, key: Any, origin: Origin | None) -> None:
        """Say that ``key`` was written at ``origin``."""
        if origin is None:
            _origins_of(self).pop(key, None)
        else:
            _origins_of(self)[key] = origin

    def __missing__(self, key: Any) -> Any:
        raise MissingKey(key, self)

    def __getattr__(self, name: str) -> Any:
        value = dict.get(self, name, _MISSING)
        if value is _MISSING:
            raise MissingAttribute(name, self)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of ConfigDict: set it as cfg[{name!r}]")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise MissingAttribute(name, self)
        del self[name]

    def __setitem__(self, key: Any, value: Any) -> None:
        dict.__setitem__(self, key, convert(value))
        _origins_of(self).pop(key, None)

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise MissingKey(key, self)
        dict.__delitem__(self, key)
        _origins_of(self).pop(key, None)

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """Take a key out; a missing one is a KeyError unless a default is given."""
        if key not in self and default is _MISSING:
            raise MissingKey(key, self)
        _origins_of(self).pop(key, None)
        return dict.pop(self, key, default)

    def popitem(self) -> tuple[Any, Any]:
        key, value = dict.popitem(self)
        _origins_of(self).pop(key, None)
        return key, value

    def clear(self) -> None:
        dict.clear(self)
        _origins_of(self).clear()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set keys; a dict meeting a dict is merged into it."""
        for source in (*args, kwargs):
            if isinstance(source, ConfigDict):
                self._take(source, _origins_of(source))
            elif source:
                self._take(dict(source), {})

    def _take(
        self, items: Mapping[Any, Any], origins: Mapping[Any, Origin], *, sharing: bool = False
    ) -> None:
        """Lay ``items`` over this; ``sharing`` puts in their very lists, not copies of them."""
        own = _origins_of(self)
        for key, value in items.items():
            mine = dict.get(self, key)
            origin, before = origins.get(key), own.get(key)
            if isinstance(mine, ConfigDict) and isinstance(value, ConfigDict):
                mine._take(value, _origins_of(value), sharing=sharing)
            elif isinstance(mine, ConfigDict) and isinstance(value, dict):
                mine.update(value)
            else:
                dict.__setitem__(self, key, value if sharing else convert(value))
            if origin is not None:
                own[key] = origin.over(before, mine)
            else:
                own.pop(key, None)

    def merge(self, over: Mapping[Any, Any]) -> None:
        """Merge ``over`` in place by the rules of inheritance (``_delete_=True`` replaces)."""
        from loopwright.config.merge import merge

        result = merge(ConfigDict(_=self), ConfigDict(_=over))["_"]
        dict.clear(self)
        dict.update(self, result)
        _set_origins(self, _origins_of(result))

    def copy(self) -> ConfigDict:
        return self.__copy__()

    def to_dict(self) -> dict[Any, Any]:
        """The same value as plain dicts, lists and tuples."""
        return {key: plain(value) for key, value in self.items()}

    def __or__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        result = self.__deepcopy__({})
        if isinstance(other, ConfigDict):
            result._take(other, _origins_of(other), sharing=True)
        else:
            result.update(other)
        return result

    def __ror__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        result: ConfigDict = duplicate(ConfigDict(other))
        result.update(self)
        return result

    def __ior__(self, other: Any) -> ConfigDict:  # type: ignore[override,misc]
        self.update(other)
        return self

    @classmethod
    def fromkeys(cls, keys: Any, value: Any = None) -> ConfigDict:
        return cls(dict.fromkeys(keys, value))

    def __copy__(self) -> ConfigDict:
        return make({key: convert(value) for key, value in self.items()}, dict(_origins_of(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigDict:
        return duplicate(self)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return make, (dict(self), _origins_of(self))


_origins_of = ConfigDict.__dict__["_origins"].__get__
_set_origins = ConfigDict.__dict__["_origins"].__set__
_CONVERTED = frozenset({dict, list, tuple})
_LEAVES = frozenset({str, int, float, bool, type(None)})


def make(items: Mapping[Any, Any], origins: dict[Any, Origin], kind: Any = ConfigDict) -> Any:
    """A ConfigDict from values that need no conversion: the fast way in for the reader."""
    node = kind.__new__(kind)
    dict.update(node, items)
    _set_origins(node, origins)
    return node


def convert(value: Any) -> Any:
    """``value`` with every plain dict in it made a ConfigDict and every list in it a new one.

    ConfigDicts and other values stay as they are: a ConfigDict shares the dicts that are put into
    it, and never a list, as in MMEngine.
    """
    kind = value.__class__
    if kind is dict:
        return ConfigDict(value)
    if kind is list or kind is tuple:
        return kind([convert(c) if c.__class__ in _CONVERTED else c for c in value])
    return value


def duplicate(value: Any) -> Any:
    """A deep copy of containers; leaves and origins are shared, being immutable."""
    kind = value.__class__
    if isinstance(value, ConfigDict):
        items = {
            key: child if child.__class__ in _LEAVES else duplicate(child)
            for key, child in value.items()
        }
        return make(items, dict(_origins_of(value)), kind)
    if kind is list or kind is tuple:
        return kind([c if c.__class__ in _LEAVES else duplicate(c) for c in value])
    if kind is dict:
        return {key: duplicate(child) for key, child in value.items()}
    return set(value) if kind is set else value


def plain(value: Any) -> Any:
    """``value`` with every ConfigDict in it made a dict."""
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([plain(child) for child in value])
    return value

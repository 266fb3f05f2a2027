"""CfgNode: a config whose keys are fixed by its defaults, as yacs and detectron2 have it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from loopwright.config import ConfigError, Origin, origin_of
from loopwright.config.dump import dump as dump_text
from loopwright.config.errors import nearest
from loopwright.config.formats import parse
from loopwright.config.limits import LIMITS, Fuel
from loopwright.config.provenance import COMMAND_LINE
from loopwright.config.source import read_text

BASE_KEY = "_BASE_"
_OWN = ("_frozen", "_new_allowed", "_origins", "_gone")


class UnknownKeyError(ConfigError, KeyError):
    """A key that the defaults do not have."""

    __str__ = Exception.__str__


class FrozenError(AttributeError):
    """A frozen config was about to change."""


class CfgNode(dict[str, Any]):
    """A dict with attribute access that takes only values for the keys it has, of their kinds.

    Keys are made by assignment; merging a file, a list or another node changes them, all or none.
    Whole numbers do where a float is wanted, lists where a tuple is; None may become anything.

    >>> cfg = CfgNode({"SOLVER": {"BASE_LR": 0.1, "STEPS": (30,)}})
    >>> cfg.merge_from_list(["SOLVER.BASE_LR", "1e-2", "SOLVER.STEPS", "[10, 20]"])
    >>> cfg.SOLVER.BASE_LR, cfg.SOLVER.STEPS
    (0.01, (10, 20))
    >>> cfg.merge_from_list(["SOLVER.BASE_LT", 1])
    Traceback (most recent call last):
    ...
    loopwright.trainer.cfgnode.UnknownKeyError: no key SOLVER.BASE_LT; did you mean 'BASE_LR'? \
(command line)
    """

    def __init__(
        self,
        init_dict: Mapping[str, Any] | None = None,
        key_list: Any = None,
        new_allowed: bool = False,
    ) -> None:
        super().__init__()
        self.__dict__.update(_frozen=False, _new_allowed=new_allowed, _origins={}, _gone={})
        for key, value in (init_dict or {}).items():
            dict.__setitem__(self, key, _node(value))
        if isinstance(init_dict, CfgNode):
            self.__dict__["_origins"].update(init_dict.origins_of())
            self.__dict__["_gone"].update(init_dict.__dict__["_gone"])

    # -- reading and setting -------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"no key {name!r}{nearest(name, self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name in _OWN:
            raise AttributeError(f"{name!r} is a method of CfgNode, no key")
        self[name] = value

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_frozen(f"set {key} to {value!r}")
        dict.__setitem__(self, key, _node(value))
        self.__dict__["_origins"].pop(key, None)

    def __delitem__(self, key: str) -> None:
        self._check_frozen(f"delete {key}")
        super().__delitem__(key)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __repr__(self) -> str:
        return f"CfgNode({dict.__repr__(self)})"

    def __str__(self) -> str:
        return "\n".join(_lines(self, 0))

    def origins_of(self) -> dict[str, Origin]:
        """Where each key was set by a file or the command line."""
        origins: dict[str, Origin] = self.__dict__["_origins"]
        return origins

    # -- frozen --------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Refuse every change from now on, here and below."""
        self._set_below("_frozen", True)

    def defrost(self) -> None:
        """Allow changes again."""
        self._set_below("_frozen", False)

    def is_frozen(self) -> bool:
        return bool(self.__dict__["_frozen"])

    def _set_below(self, flag: str, value: bool) -> None:
        self.__dict__[flag] = value
        for child in self.values():
            if isinstance(child, CfgNode):
                child._set_below(flag, value)

    def _check_frozen(self, wish: str) -> None:
        if self.__dict__["_frozen"]:
            raise FrozenError(f"cannot {wish}: the config is frozen; cfg.defrost() or cfg.clone()")

    # -- which keys ----------------------------------------------------------------------------

    def set_new_allowed(self, is_new_allowed: bool) -> None:
        """Whether merging may add keys, here and below."""
        self._set_below("_new_allowed", is_new_allowed)

    def is_new_allowed(self) -> bool:
        return bool(self.__dict__["_new_allowed"])

    def register_deprecated_key(self, key: str) -> None:
        """Say that a dotted key of former times is no more: files that have it are still read."""
        self.__dict__["_gone"][key] = None

    def register_renamed_key(self, old: str, new: str, message: str | None = None) -> None:
        """Say what a dotted key is called now; files that have the old one are refused."""
        self.__dict__["_gone"][old] = f"{old} is {new} now" + (f": {message}" if message else "")

    def register_foreign_keys(self, prefix: str, reason: str) -> None:
        """Say why neither a dotted key nor any below it is there; unknown ones are told so."""
        self.__dict__["_gone"][prefix] = reason

    # -- merging -------------------------------------------------------------------------------

    @classmethod
    def load_yaml_with_base(cls, filename: str | os.PathLike[str], **_: Any) -> dict[str, Any]:
        """What a YAML file holds over what its ``_BASE_`` holds; nothing in it is executed."""
        return dict(_read(os.path.abspath(os.fspath(filename)), ()))

    def merge_from_file(
        self, cfg_filename: str | os.PathLike[str], allow_unsafe: bool = False
    ) -> None:
        """Take the values of a YAML file and of the files it names as ``_BASE_``.

        ``allow_unsafe`` is detectron2's and changes nothing: tags that make objects are refused.
        Raises ConfigError with file and line.
        """
        self._merge(_read(os.path.abspath(os.fspath(cfg_filename)), ()))

    def merge_from_other_cfg(self, cfg_other: Mapping[str, Any]) -> None:
        """Take the values of another config."""
        self._merge(cfg_other)

    def merge_from_list(self, cfg_list: Sequence[Any]) -> None:
        """Take ``["SOLVER.BASE_LR", 0.1, …]``: names and values by turns, as of a command line."""
        if len(cfg_list) % 2:
            raise ConfigError(f"names and values must come by turns, got {list(cfg_list)}")
        over: list[tuple[CfgNode, str, Any, Origin | None]] = []
        place = Origin(COMMAND_LINE)
        for name, value in zip(cfg_list[0::2], cfg_list[1::2], strict=True):
            *path, key = str(name).split(".")
            node: Any = self
            for depth, part in enumerate(path):
                inner = node.get(part) if isinstance(node, CfgNode) else None
                if not isinstance(inner, CfgNode):
                    self._refuse(node, ".".join(path[: depth + 1]), str(name), place)
                node = inner
            over += self._checked(node, key, value, str(name), place)
        _set(over)

    def _merge(self, other: Mapping[str, Any]) -> None:
        self._check_frozen("merge")
        _set(list(self._changes(self, other, "")))

    def _changes(self, node: CfgNode, other: Mapping[str, Any], prefix: str) -> Iterator[Any]:
        """What a merge sets: node, key, value and place of each."""
        for key, value in other.items():
            path, place = f"{prefix}{key}", origin_of(other, key)
            if isinstance(value, Mapping) and isinstance(node.get(key), CfgNode):
                yield from self._changes(node[key], value, f"{path}.")
            else:
                yield from self._checked(node, key, value, path, place)

    def _checked(
        self, node: CfgNode, key: str, value: Any, path: str, place: Origin | None
    ) -> Iterator[Any]:
        self._check_frozen(f"set {path}")
        value = _node(_decoded(value))
        if key in node:
            yield node, key, _fitted(value, node[key], path, place), place
        elif node.is_new_allowed():
            yield node, key, value, place
        elif self.__dict__["_gone"].get(path, "") is not None:
            self._refuse(node, path, path, place)

    def _refuse(self, node: Any, near: str, path: str, place: Origin | None) -> NoReturn:
        gone = self.__dict__["_gone"]
        for prefix, reason in gone.items():
            if reason and (path == prefix or path.startswith(f"{prefix}.")):
                raise UnknownKeyError(reason, place)
        known = node if isinstance(node, CfgNode) else ()
        raise UnknownKeyError(f"no key {path}{nearest(near.rpartition('.')[2], known)}", place)

    # -- copies and text -----------------------------------------------------------------------

    def clone(self) -> CfgNode:
        """A deep copy, frozen as this one is."""
        made = CfgNode({k: _cloned(v) for k, v in self.items()})
        mine = self.__dict__
        made.__dict__.update({k: dict(v) if isinstance(v, dict) else v for k, v in mine.items()})
        return made

    copy = clone

    def __deepcopy__(self, memo: Any) -> CfgNode:
        return self.clone()

    def __reduce__(self) -> tuple[Any, ...]:
        return CfgNode, (dict(self),), {name: self.__dict__[name] for name in _OWN}

    def dump(self, **_: Any) -> str:
        """The config as YAML, which `merge_from_file` reads back."""
        return dump_text(self.to_dict(), ".yaml")

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts."""
        return {k: v.to_dict() if isinstance(v, CfgNode) else v for k, v in self.items()}


def _set(changes: Sequence[tuple[CfgNode, str, Any, Origin | None]]) -> None:
    """Make all changes, once each was found to be right."""
    for node, key, value, place in changes:
        dict.__setitem__(node, key, value)
        if place is not None:
            node.origins_of()[key] = place


def _node(value: Any) -> Any:
    return CfgNode(value) if isinstance(value, dict) and not isinstance(value, CfgNode) else value


def _cloned(value: Any) -> Any:
    if isinstance(value, CfgNode):
        return value.clone()
    return type(value)(map(_cloned, value)) if type(value) in (list, tuple) else value


def _decoded(value: Any) -> Any:
    """A text that writes a number, a tuple, None … as that; other texts and values as they are.

    >>> _decoded("(60000, 80000)"), _decoded("1e-3"), _decoded("resnet")
    ((60000, 80000), 0.001, 'resnet')
    """
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _fitted(value: Any, before: Any, path: str, place: Origin | None) -> Any:
    """The value in the kind of the one it replaces; ConfigError where that cannot be."""
    if value is None or before is None or type(value) is type(before):
        return value
    if isinstance(before, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    for kind, other in ((tuple, list), (list, tuple)):
        if isinstance(before, kind) and isinstance(value, other):
            return kind(value)
    wanted = "keys of its own" if isinstance(before, dict) else f"a {type(before).__name__}"
    raise ConfigError(f"{path} must be {wanted} (it is {before!r:.60}), got {value!r:.60}", place)


def _read(path: str, chain: tuple[str, ...]) -> Mapping[str, Any]:
    """A YAML file merged over its base."""
    if path in chain:
        raise ConfigError(f"{BASE_KEY} goes in a circle: {' → '.join((*chain, path))}")
    if not path.endswith((".yaml", ".yml", ".json")):
        raise ConfigError(f"a CfgNode is read from .yaml or .json, not from {path}")
    fuel = Fuel(LIMITS)
    values = parse(read_text(path, fuel.limits), path, fuel)
    bases = values.pop(BASE_KEY, [])
    over = CfgNode(new_allowed=True)
    over.set_new_allowed(True)
    for base in [bases] if isinstance(bases, str) else bases:
        file = os.path.join(os.path.dirname(path), os.path.expanduser(base))
        _overlay(over, _read(os.path.abspath(file), (*chain, path)))
    _overlay(over, values)
    return over


def _overlay(under: CfgNode, over: Mapping[str, Any]) -> None:
    """Put values over others, dicts key by key; nothing is checked yet."""
    for key, value in over.items():
        mine = under.get(key)
        if isinstance(value, Mapping):
            if not isinstance(mine, CfgNode):
                mine = CfgNode()
                dict.__setitem__(under, key, mine)
            _overlay(mine, value)
        else:
            dict.__setitem__(under, key, value)
        place = origin_of(over, key)
        if place is not None:
            under.origins_of()[key] = place


def _lines(node: CfgNode, depth: int) -> Iterator[str]:
    for key, value in sorted(node.items()):
        if isinstance(value, CfgNode):
            yield f"{'  ' * depth}{key}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{'  ' * depth}{key}: {value}"

"""Lazy configs: calls written down as data (``_target_`` and arguments), read, changed and made."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from loopwright.config import Config, ConfigDict, ConfigError, apply_overrides
from loopwright.config.deferred import Deferred
from loopwright.config.dump import dump
from loopwright.config.node import make
from loopwright.core.nearest import did_you_mean
from loopwright.files import atomic_write
from loopwright.registry import RefusedNameError, allow_packages
from loopwright.registry.allow import locate
from loopwright.trainer.lazyfile import read
from loopwright.trainer.roots import above, remember

TARGET = "_target_"


class LazyCall:
    """``LazyCall(f)(x=1)`` is a config that says "f of x=1", to be made by `instantiate`.

    >>> call = LazyCall(complex)(real=1.0, imag=2.0)
    >>> call.imag = 3.0
    >>> instantiate(call)
    (1+3j)
    """

    def __init__(self, target: Any) -> None:
        if not (callable(target) or isinstance(target, str | dict | Deferred)):
            raise TypeError(f"LazyCall takes something to call or its dotted name, got {target!r}")
        self._target = target

    def __call__(self, **kwargs: Any) -> ConfigDict:
        return ConfigDict({TARGET: self._target, **kwargs})


def instantiate(cfg: Any) -> Any:
    """Make everything that has a ``_target_``, innermost first; other values come back as they are.

    A node that is used twice makes one object. ``"${..name}"`` and ``"${a.b}"`` are looked up in
    the config that the node was loaded with, else in the node itself. A dotted name must lie below
    an allowed package (RefusedNameError); a class or function in the config is called as it is.

    >>> instantiate({"both": [{"_target_": "torch.nn.Identity"}, 1]})
    {'both': [Identity(), 1]}
    """
    return _Maker(cfg).made(cfg)


class _Maker:
    """One instantiation: what was made of which node, and the nodes we are in."""

    def __init__(self, top: Any) -> None:
        self.top = top
        self.done: dict[int, tuple[Any, Any]] = {}
        self.inside: list[dict[Any, Any]] = []

    def made(self, node: Any) -> Any:
        """The value of a node."""
        if isinstance(node, dict):
            self.inside.append(node)
            try:
                return self._dict(node)
            finally:
                self.inside.pop()
        if isinstance(node, list | tuple):
            return type(node)(self.made(item) for item in node)
        if isinstance(node, Deferred):
            return _located(node.dotted)
        if isinstance(node, str) and node.startswith("${") and node.endswith("}"):
            return self.made(self._looked_up(node))
        return node

    def _dict(self, node: dict[Any, Any]) -> Any:
        if TARGET not in node:
            items = {key: self.made(value) for key, value in node.items()}
            return ConfigDict(items) if isinstance(node, ConfigDict) else items
        known = self.done.get(id(node))
        if known is not None:
            return known[1]
        recursive = node.get("_recursive_", True)
        target = self._target(node[TARGET])
        arguments = {
            key: self.made(value) if recursive else value
            for key, value in node.items()
            if key not in (TARGET, "_recursive_")
        }
        result = _called(target, arguments)
        self.done[id(node)] = (node, result)
        return result

    def _target(self, target: Any) -> Any:
        found = _located(target) if isinstance(target, str) else self.made(target)
        if not callable(found):
            raise TypeError(f"{TARGET} must be something to call, got {found!r}")
        return found

    def _looked_up(self, text: str) -> Any:
        path = text[2:-1]
        bare = path.lstrip(".")
        dots = len(path) - len(bare)
        around = [*above(self.top), *self.inside]
        if dots > len(around):
            raise ConfigError(
                f"{text!r} leads out of what is instantiated, and of no config that was loaded"
            )
        place: Any = around[-dots] if dots else around[0]
        for part in bare.split("."):
            if not isinstance(place, dict) or part not in place:
                raise ConfigError(f"{text!r}: there is no {part!r}")
            place = place[part]
        return place


def _located(dotted: str) -> Any:
    try:
        return locate(dotted)
    except RefusedNameError as error:
        package = dotted.partition(".")[0]
        error.add_note(f"a package of yours: LazyConfig.load(file, allow=[{package!r}])")
        raise


def _called(target: Any, arguments: dict[str, Any]) -> Any:
    try:
        return target(**arguments)
    except TypeError as error:
        error.add_note(f"while instantiating {getattr(target, '__qualname__', target)}")
        raise


class LazyConfig:
    """Reading, changing and writing lazy configs; names as in detectron2."""

    @staticmethod
    def load(
        filename: str,
        keys: str | tuple[str, ...] | None = None,
        *,
        trust: bool = False,
        allow: Iterable[str] = (),
    ) -> Any:
        """The dicts that a ``.py`` or ``.yaml`` file defines; of ``keys`` those alone.

        A Python file is read, not run, unless ``trust``; relative imports name files beside it.
        ``allow`` are packages of yours that targets may come from.
        """
        allow_packages(*allow)
        if os.path.splitext(filename)[1] == ".py":
            values = read(filename, trust=trust)
        else:
            values = ConfigDict(Config.fromfile(filename).to_dict())
        if keys is None:
            shown = {key: value for key, value in values.items() if _is_shown(key, value)}
            origins = values.origins_of()
            return remember(make(shown, {key: origins[key] for key in shown if key in origins}))
        if isinstance(keys, str):
            return remember(_key(values, keys, filename))
        return tuple(remember(_key(values, key, filename)) for key in keys)

    @staticmethod
    def load_rel(filename: str, keys: str | tuple[str, ...] | None = None, **how: Any) -> Any:
        """As `load`, relative to the file of the caller."""
        caller = sys._getframe(1).f_code.co_filename
        return LazyConfig.load(os.path.join(os.path.dirname(caller), filename), keys, **how)

    @staticmethod
    def apply_overrides(cfg: Any, overrides: list[str]) -> ConfigDict:
        """A config with ``["a.b=c", "+new=1", "~gone"]`` applied; the given one stays.

        Raises ConfigError for an unknown key (``+`` adds one) and for a dict that would be
        replaced by a single value.
        """
        for text in overrides:
            _refuse_flattening(cfg, text)
        changed: ConfigDict = remember(ConfigDict(apply_overrides(ConfigDict(cfg), overrides)))
        return changed

    @staticmethod
    def save(cfg: Any, filename: str) -> None:
        """Write a config as YAML or Python, classes and functions as dotted names."""
        atomic_write(filename, dump(_named(cfg), os.path.splitext(filename)[1] or ".yaml"))

    @staticmethod
    def to_py(cfg: Any) -> str:
        """The config as the text of a Python file."""
        return dump(_named(cfg), ".py")


def _is_shown(key: Any, value: Any) -> bool:
    return isinstance(value, dict) and not str(key).startswith("_")


def _key(values: ConfigDict, key: str, filename: str) -> Any:
    if key not in values:
        hint = did_you_mean(key, values)
        raise ConfigError(f"{filename} defines no {key!r}{hint}")
    return values[key]


def _refuse_flattening(cfg: Any, text: str) -> None:
    path, _, value = text.partition("=")
    if not value or text[:1] in "+~" or value.lstrip()[:1] == "{":
        return
    place = cfg
    for part in path.strip().split("."):
        place = place.get(part) if isinstance(place, dict) else None
    if isinstance(place, dict) and place:
        raise ConfigError(
            f"override {text!r}: {path} has keys {', '.join(map(str, place))}; "
            "one value cannot replace them"
        )


def _named(value: Any) -> Any:
    """Plain data with dotted names for everything callable."""
    if isinstance(value, Config):
        return _named(value.to_dict())
    if isinstance(value, dict):
        return {key: _named(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_named(child) for child in value]
    if isinstance(value, Deferred):
        return value.dotted
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return value

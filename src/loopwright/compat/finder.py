"""Modules whose names are looked up elsewhere, and the finder that answers their imports."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from loopwright.core.nearest import did_you_mean


@dataclass(frozen=True)
class Alias:
    """What a module answers: ``extra`` names first, then every public name of its ``sources``.

    A source is a module (``loopwright.hooks``) or a root registry (``@HOOKS``); the value of an
    extra name is an object, or ``module:attribute`` to be looked up when asked for.
    """

    name: str
    sources: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Any:
        """The object of a name; AttributeError, naming the nearest, where there is none."""
        if name in self.extra:
            return _target(self.extra[name])
        for source in self.sources:
            found = _in_source(source, name)
            if found is not None:
                return found
        raise AttributeError(self.missing(name))

    def missing(self, name: str) -> str:
        """The message for a name that is not answered."""
        hint = did_you_mean(name, self.names(), most=3)
        return (
            f"{self.name} is answered by Loopwright, which has no {name!r} there{hint} "
            f"(dir({self.name}) lists what there is)"
        )

    def names(self) -> list[str]:
        """Every name that `find` answers."""
        found = set(self.extra)
        for source in self.sources:
            found |= set(_names_of(source))
        return sorted(found)


def _target(value: Any) -> Any:
    """An extra's object; ``module:attribute`` is looked up."""
    if not isinstance(value, str) or ":" not in value:
        return value
    module, _, attribute = value.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _in_source(source: str, name: str) -> Any:
    if source.startswith("@"):
        return _registry(source).module_dict.get(name)
    module = importlib.import_module(source)
    if name not in _public(module):
        return None
    return getattr(module, name)


def _names_of(source: str) -> Sequence[str]:
    if source.startswith("@"):
        return list(_registry(source).module_dict)
    return _public(importlib.import_module(source))


def _registry(source: str) -> Any:
    return importlib.import_module("loopwright.registry").ROOTS[source[1:]]


def _public(module: ModuleType) -> Sequence[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    own = vars(module).items()
    home = module.__name__
    return [n for n, v in own if n[0] != "_" and getattr(v, "__module__", None) == home]


class AliasModule(ModuleType):
    """A module that holds nothing: each name is asked of its alias."""

    alias: Alias

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return self.alias.names()
        if name.startswith("__") and name not in self.alias.extra:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            return self.alias.find(name)
        except AttributeError:
            if Finder.knows(f"{self.__name__}.{name}"):
                return importlib.import_module(f"{self.__name__}.{name}")
            raise

    def __dir__(self) -> list[str]:
        return self.alias.names()


class AliasLoader(Loader):
    """Makes the empty module of an alias."""

    def __init__(self, alias: Alias) -> None:
        self.alias = alias

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = AliasModule(spec.name, f"{spec.name}, answered by Loopwright.")
        module.alias = self.alias
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


class Finder(MetaPathFinder):
    """Finds the modules of a table of aliases; asked last, or first when forced."""

    def __init__(self, aliases: dict[str, Alias]) -> None:
        self.aliases = aliases
        self._hidden: dict[str, ModuleType] = {}

    @staticmethod
    def knows(name: str) -> bool:
        """Whether a finder that is in force answers this module."""
        return any(isinstance(f, Finder) and name in f.aliases for f in sys.meta_path)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        alias = self.aliases.get(fullname)
        if alias is not None:
            return ModuleSpec(fullname, AliasLoader(alias), is_package=True)
        parent, _, name = fullname.rpartition(".")
        holder = sys.modules.get(parent)
        if isinstance(holder, AliasModule) and parent in self.aliases:
            raise ModuleNotFoundError(holder.alias.missing(name), name=parent)
        return None

    def enter(self, *, first: bool) -> None:
        """Begin to answer; ``first`` puts modules of these names that are loaded out of sight."""
        if not first:
            sys.meta_path.append(self)
            return
        roots = {name.partition(".")[0] for name in self.aliases}
        for name in [n for n in sys.modules if n.partition(".")[0] in roots]:
            self._hidden[name] = sys.modules.pop(name)
        sys.meta_path.insert(0, self)

    def leave(self) -> None:
        """Stop answering."""
        sys.meta_path.remove(self)
        for name, module in list(sys.modules.items()):
            if isinstance(module, AliasModule) and name in self.aliases:
                del sys.modules[name]
                parent, _, last = name.rpartition(".")
                vars(sys.modules.get(parent, module)).pop(last, None)
        sys.modules.update(self._hidden)
        self._hidden.clear()

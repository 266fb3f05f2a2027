"""A registry: names to classes and functions, with scopes and a parent."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from typing import Any

from loopwright.registry.allow import allowed_packages, locate
from loopwright.registry.build import build_from_cfg
from loopwright.registry.errors import UnknownNameError
from loopwright.registry.scope import (
    ROOT_ALIASES,
    ROOT_SCOPE,
    current_scope,
    scope_is,
    would_register,
)

BuildFunc = Callable[..., Any]

_LOGGER = logging.getLogger("loopwright.registry")
_REPLACED = "%s is the one of %s, not the built-in of %s"


class Registry:
    """Names of one kind of thing.

    ``locations`` are modules that register things, imported when a name is first looked up;
    ``namespaces`` are modules whose public names count as registered (``torch.optim``);
    ``parent`` is asked for what is not found here.

    >>> ANIMALS = Registry("animal", scope="zoo")
    >>> @ANIMALS.register_module()
    ... class Cat:
    ...     def __init__(self, name): self.name = name
    >>> ANIMALS.build(dict(type="Cat", name="Tom")).name
    'Tom'
    """

    def __init__(
        self,
        name: str,
        build_func: BuildFunc | None = None,
        parent: Registry | None = None,
        scope: str | None = None,
        locations: Iterable[str] = (),
        namespaces: Iterable[str] = (),
    ) -> None:
        self._name = name
        self._module_dict: dict[str, Any] = {}
        self._children: dict[str, Registry] = {}
        self._scope = scope if scope is not None else _calling_package()
        self._locations = list(locations)
        self._namespaces = tuple(namespaces)
        self.parent = parent
        inherited: BuildFunc = parent.build_func if parent else build_from_cfg
        self.build_func: BuildFunc = build_func or inherited
        if parent is not None:
            parent._adopt(self)

    def _adopt(self, child: Registry) -> None:
        if child.scope in self._children:
            raise ValueError(f"registry {self._name!r} has a child of scope {child.scope!r}")
        self._children[child.scope] = child

    # -- what it holds ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    @property
    def scope(self) -> str:
        return self._scope

    @property
    def children(self) -> dict[str, Registry]:
        return self._children

    @property
    def module_dict(self) -> dict[str, Any]:
        self.import_from_location()
        return self._module_dict

    @property
    def root(self) -> Registry:
        return self if self.parent is None else self.parent.root

    def __len__(self) -> int:
        return len(self.module_dict)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __repr__(self) -> str:
        return f"Registry({self._name!r}, scope={self._scope!r}, {len(self._module_dict)} names)"

    def import_from_location(self) -> None:
        """Import the modules that register things here; each once."""
        while self._locations:
            self._import_next()

    def _import_next(self) -> None:
        importlib.import_module(self._locations[0])
        self._locations = self._locations[1:]

    # -- registering -----------------------------------------------------------------------

    def register_module(
        self,
        name: str | list[str] | type | None = None,
        force: bool = False,
        module: Any = None,
    ) -> Any:
        """Register a class or function; as ``@register_module()``, ``@register_module`` or a call.

        A built-in's name may be taken, which a warning says. Raises KeyError for a name that is
        taken otherwise (unless ``force``), TypeError for something that cannot be called.
        """
        if callable(name) and not isinstance(name, str) and module is None:
            return self.register_module(module=name, force=force)
        if module is not None:
            self._put(module, name, force)
            return module

        def register(decorated: Any) -> Any:
            self._put(decorated, name, force)
            return decorated

        return register

    def _put(self, module: Any, name: Any, force: bool) -> None:
        if not callable(module):
            raise TypeError(f"only classes and functions can be registered, got {module!r}")
        names = [name] if isinstance(name, str) else name or [module.__name__]
        for key in names:
            held = self._module_dict.get(key)
            if held is not None and not force and not _same_source(held, module):
                if _is_ours(held) == _is_ours(module):
                    raise KeyError(f"{key!r} is registered in {self._name!r} already, as {held!r}")
                mine, yours = (held, module) if _is_ours(held) else (module, held)
                _LOGGER.warning(_REPLACED, key, yours.__module__, mine.__module__)
                module = yours
            self._module_dict[key] = module

    @staticmethod
    def split_scope_key(key: str) -> tuple[str | None, str]:
        """The scope that a name begins with, or None, and the rest."""
        scope, dot, rest = key.partition(".")
        return (scope, rest) if dot else (None, key)

    # -- looking up ------------------------------------------------------------------------

    def get(self, key: str) -> Any:
        """The class or function of a name, or None.

        A name may carry a scope (``mmdet.ResNet``) or be a dotted path of an allowed package.
        Raises RefusedNameError for a dotted path outside those packages.
        """
        scope, _, rest = key.partition(".")
        if rest and scope in ROOT_ALIASES and "." not in rest:
            return self.root._own(rest)
        if rest:
            library = self._library(scope)
            return library.get(rest) if library else self._dotted(key)
        return self._start()._upward(key)

    def _start(self) -> Registry:
        scope = current_scope()
        return (
            self if scope in ROOT_ALIASES or scope == self._scope else self._library(scope) or self
        )

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Iterator[Registry]:
        """The registry of a scope (None: of the one in force), which holds inside the block."""
        with scope_is(scope) if scope else nullcontext():
            yield self._start()

    def _upward(self, key: str) -> Any:
        here: Registry | None = self
        while here is not None:
            found = here._own(key)
            if found is not None:
                return found
            here = here.parent
        return self._elsewhere(key)

    def _elsewhere(self, key: str) -> Any:
        """What exactly one other library registers under a bare name."""
        found = [r._module_dict[key] for r in self.root.family() if key in r._module_dict]
        return found[0] if len(found) == 1 else None

    def _own(self, key: str) -> Any:
        while key not in self._module_dict and self._locations:
            self._import_next()
        if key in self._module_dict:
            return self._module_dict[key]
        for namespace in self._namespaces:
            found = getattr(importlib.import_module(namespace), key, None)
            if isinstance(found, type):
                return found
        return None

    def _library(self, scope: str) -> Registry | None:
        if scope == self._scope:
            return self
        return next((r for r in self.root.family() if r.scope == scope), None)

    def _dotted(self, key: str) -> Any:
        package = key.partition(".")[0]
        if package in allowed_packages():
            return locate(key)
        return self.root._own(key) or (locate(key) if "." in key else None)

    def family(self) -> Iterator[Registry]:
        """This registry and all below it."""
        yield self
        for child in self._children.values():
            yield from child.family()

    def names(self) -> list[str]:
        """Every name that can be typed here, over all scopes."""
        return list(self.homes())

    def homes(self) -> dict[str, str]:
        """Every name that can be typed here, over all scopes, and the module that registers it."""
        found: dict[str, str] = {}
        for registry in self.root.family():
            prefix = "" if registry.scope == ROOT_SCOPE else f"{registry.scope}."
            for name, target in registry.module_dict.items():
                found[prefix + name] = str(getattr(target, "__module__", ""))
            for namespace in registry._namespaces:
                for name, value in vars(importlib.import_module(namespace)).items():
                    if isinstance(value, type) and not name.startswith("_"):
                        found.setdefault(name, namespace)
        return found

    def unknown(self, key: str) -> UnknownNameError:
        """The error for a name that is not there: the nearest names of all scopes with the modules
        that register them, and the library that would register it where one is in force.
        """
        homes = self.homes()
        names = list(homes)
        same = [name for name in names if name.lower() == key.lower()]
        close = get_close_matches(key, names, n=3, cutoff=0.6) or _ignoring_case(key, names)
        near = list(dict.fromkeys(same + close))[:3]
        told = [f"{name!r} (in {homes[name]})" if homes[name] else repr(name) for name in near]
        hint = f"; did you mean {' or '.join(told)}?" if near else ""
        scope = current_scope()
        if scope not in ROOT_ALIASES and self._library(scope) is None:
            hint += f"; {would_register(scope)}"
        return UnknownNameError(f"{key!r} is not a known {self._name}{hint}")

    # -- building --------------------------------------------------------------------------

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build what ``cfg['type']`` names with the rest of ``cfg``; ``cfg`` is left as it is."""
        return self.build_func(cfg, self, *args, **kwargs)


def _calling_package() -> str:
    frame = sys._getframe(2)
    return str(frame.f_globals.get("__name__", ROOT_SCOPE)).partition(".")[0]


def _is_ours(module: Any) -> bool:
    """Whether it is built in: what a user registers under the same name is taken instead."""
    return str(getattr(module, "__module__", "")).partition(".")[0] == ROOT_SCOPE


def _same_source(held: Any, module: Any) -> bool:
    """Whether a module is registered anew by importing its file a second time."""
    same = (getattr(thing, "__qualname__", None) for thing in (held, module))
    where = {getattr(getattr(t, "__init__", None), "__code__", None) for t in (held, module)}
    files = {getattr(code, "co_filename", id(code)) for code in where}
    return len(set(same)) == 1 and len(files) == 1 and None not in where


def _ignoring_case(key: str, names: list[str]) -> list[str]:
    by_lower = {name.lower(): name for name in names}
    return [by_lower[n] for n in get_close_matches(key.lower(), by_lower, n=3, cutoff=0.6)]

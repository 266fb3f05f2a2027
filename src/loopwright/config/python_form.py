"""A Python config file: its ``_base_``, its ``with read_base():`` blocks, and its statements."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from loopwright.config import substitute
from loopwright.config.environment import Environment
from loopwright.config.errors import ConfigError, brief, nearest
from loopwright.config.fresh import Defined, Fresh
from loopwright.config.limits import Fuel
from loopwright.config.node import ConfigDict, duplicate, make
from loopwright.config.provenance import Origin, origin_of, shown
from loopwright.config.statements import Interpreter, parse

BASE = "_base_"


class Inherited(Protocol):
    """What is taken from another file: its values and its imports."""

    values: ConfigDict
    imports: dict[str, Any]


Inherit = Callable[[str, str, Origin], Inherited]


@dataclass(slots=True)
class Form:
    """The statements of a file, its ``_base_`` expression taken out."""

    body: list[ast.stmt]
    base: ast.expr | None
    braces: bool


def split(text: str, path: str) -> Form:
    """Parse ``text`` and take ``_base_ = …`` out of it; of several the first counts."""
    tree = parse(text, path)
    bases = [node for node in tree.body if _is_base(node)]
    body = [node for node in tree.body if node not in bases] if bases else tree.body
    base = bases[0].value if bases else None  # type: ignore[attr-defined]
    return Form(body, base, "{{" in text)


def _is_base(node: ast.stmt) -> bool:
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return isinstance(target, ast.Name) and target.id == BASE


def base_names(node: ast.expr, path: str, fuel: Fuel) -> tuple[list[str], list[Origin]]:
    """The paths that ``_base_ = …`` names, and where each of them stands."""
    runner = Interpreter(path, fuel)
    statement = ast.Assign([ast.Name(BASE, lineno=node.lineno)], node)
    runner.run([ast.copy_location(statement, node)])
    value = runner.names[BASE]
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
        text = f"_base_ must be a path or a list of paths, got {brief(value)}"
        raise ConfigError(text, runner.origin(node))
    place = runner.origin(node, node)
    return list(wanted), [place.item(i, len(wanted)) or place for i in range(len(wanted))]


def run(
    form: Form,
    path: str,
    fuel: Fuel,
    bases: ConfigDict,
    inherit: Inherit,
    *,
    environment: Environment,
    trust: bool,
) -> FileScope:
    """Interpret the statements; with ``trust`` a file that is out of reach is run as Python."""
    scope = FileScope(form, path, fuel, bases, inherit)
    scope.environment = environment
    try:
        scope.run(form.body)
    except ConfigError:
        if not trust:
            raise
        from loopwright.config import trusted

        scope = FileScope(form, path, fuel, bases, inherit)
        trusted.run(form.body, path, scope)
    return scope


class FileScope(Interpreter):
    """The interpreter of one file: knows its bases and takes names from other configs."""

    def __init__(
        self, form: Form, path: str, fuel: Fuel, bases: ConfigDict, inherit: Inherit
    ) -> None:
        super().__init__(path, fuel)
        self.other = inherit
        if form.base is not None:
            dict.__setitem__(self.names, BASE, bases)
            self.fill = substitute.base_filler(bases, fuel) if form.braces else None
        dict.update(self.names, {"__file__": path, "__name__": "config"})

    @property
    def imports(self) -> dict[str, Any]:
        """The names that imports bound, here or in a file that was read into this one.

        One that the file deleted again is gone.
        """
        names = self.names
        return {name: dict.__getitem__(names, name) for name in self.imported if name in names}

    def kept(self) -> Fresh:
        """The names that become keys: all but ``__x``, imports and ``_base_`` itself."""
        items: Mapping[Any, Any] = {
            key: value
            for key, value in self.names.items()
            if key not in self.imported
            and key != BASE
            and not str(key).startswith("__")
            and value.__class__ is not Defined
        }
        origins = self.names.origins_of()
        node: Fresh = make(items, {key: origins[key] for key in items if key in origins}, Fresh)
        return node

    def inherit(self, node: ast.ImportFrom) -> None:
        """One ``from .base import *`` of a ``with read_base():`` block."""
        place = self.origin(node)
        library, file = _module_file(node, self.file)
        parsed = self.other(library, file, place)
        self.shared = True
        for alias in node.names:
            if alias.name == "*":
                for name in (*parsed.values, *parsed.imports):
                    self._take(parsed, name, name)
            elif alias.name in parsed.values or alias.name in parsed.imports:
                self._take(parsed, alias.name, alias.asname or alias.name)
            else:
                near = nearest(alias.name, parsed.values)
                raise ConfigError(f"{shown(file)} sets no {alias.name!r}{near}", place)

    def _take(self, parsed: Inherited, key: str, name: str) -> None:
        self.fuel.spend(4)
        if key in parsed.values:
            self.fuel.weigh(dict.__getitem__(parsed.values, key))
            dict.__setitem__(self.names, name, duplicate(dict.__getitem__(parsed.values, key)))
            self.names.mark(name, origin_of(parsed.values, key))
            self.imported.discard(name)
        else:
            dict.__setitem__(self.names, name, parsed.imports[key])
            self.imported.add(name)


def _module_file(node: ast.ImportFrom, path: str) -> tuple[str, str]:
    """The library (``""`` for a relative import) and the file that an import names."""
    parts = (node.module or "").split(".")
    if node.level:
        folder = os.path.dirname(path)
        for _ in range(node.level - 1):
            folder = os.path.dirname(folder)
        return "", os.path.join(folder, *parts) + ".py"
    inner = parts[2:] if parts[1:2] == ["configs"] else parts[1:]
    return parts[0], "/".join(inner) + ".py"

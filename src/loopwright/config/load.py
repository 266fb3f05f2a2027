"""Reading a config file with all it inherits from, as data."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loopwright.config import formats, packages, substitute
from loopwright.config.errors import ConfigError
from loopwright.config.fresh import Fresh, settle, stamp_scope
from loopwright.config.limits import Fuel
from loopwright.config.merge import merge
from loopwright.config.node import ConfigDict, duplicate, make
from loopwright.config.provenance import Origin, origin_of, shown
from loopwright.config.source import read_text
from loopwright.config.statements import Interpreter, parse

BASE = "_base_"
RESERVED = ("filename", "text", "pretty_text", "env_variables")


@dataclass(slots=True)
class Parsed:
    """One file and its bases: values, the names that were imports, and the texts read."""

    values: ConfigDict
    imported: set[str] = field(default_factory=set)
    texts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Reader:
    """One reading: its bounds, its search path, and what it has read so far."""

    fuel: Fuel
    packages: Mapping[str, str] = field(default_factory=dict)
    predefined: bool = True
    environment: bool = True
    env_variables: dict[str, str] = field(default_factory=dict)
    chain: list[str] = field(default_factory=list)
    done: dict[tuple[str, str], Parsed] = field(default_factory=dict)
    shared: bool = False

    def read(self, path: str, origin: Origin | None = None, scope: str = "") -> Parsed:
        """The value of ``path`` merged over its bases."""
        path = os.path.abspath(path)
        real = os.path.realpath(path)
        known = self.done.get((real, scope))
        if known is not None:
            return Parsed(duplicate(known.values), set(known.imported), [])
        self._enter(real, path, origin)
        try:
            text = read_text(path, self.fuel.limits, origin)
            parsed = self.parse(text, path)
        finally:
            self.chain.pop()
        parsed.texts.insert(0, (path, text))
        if scope:
            stamp_scope(parsed.values, scope)
        self.done[real, scope] = parsed
        return parsed

    def _enter(self, real: str, path: str, origin: Origin | None) -> None:
        if real in self.chain:
            cycle = [*self.chain[self.chain.index(real) :], real]
            raise ConfigError(f"_base_ goes in a circle: {' → '.join(map(shown, cycle))}", origin)
        self.chain.append(real)
        self.fuel.files -= 1
        if len(self.chain) > self.fuel.limits.base_depth or self.fuel.files < 0:
            self.chain.pop()
            raise ConfigError(f"too many files in the _base_ chain of {shown(path)}", origin)

    def parse(self, text: str, path: str) -> Parsed:
        """The value of ``text``, which stands in ``path``."""
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in (".py", ".yaml", ".yml", ".json", ".toml"):
            raise ConfigError(
                f"a config ends in .py, .yaml, .yml, .json or .toml, not {suffix!r}", Origin(path)
            )
        if "{{" in text:
            text = substitute.predefined(text, path) if self.predefined else text
            text = (
                substitute.environment(text, path, self.env_variables) if self.environment else text
            )
        if suffix != ".py":
            return self._parse_data(text, path, suffix)
        return self._parse_python(parse(text, path), "{{" in text, path)

    def _parse_python(self, tree: ast.Module, filled: bool, path: str) -> Parsed:
        base_nodes = [node for node in tree.body if _is_base(node)]
        bases = Parsed(ConfigDict())
        if base_nodes:
            bases = self._bases(base_nodes[-1].value, path)  # type: ignore[attr-defined]
            tree.body = [node for node in tree.body if node not in base_nodes]
        runner = Interpreter(path, self.fuel)
        runner.inherit = lambda node: self._inherit(node, runner, bases, path)
        names = runner.names
        if base_nodes:
            dict.__setitem__(names, BASE, bases.values)
            runner.fill = substitute.base_filler(bases.values) if filled else None
        dict.update(names, {"__file__": path, "__name__": "config"})
        runner.run(tree.body)
        dict.pop(names, BASE, None)
        self.shared = self.shared or bool(base_nodes)
        bases.imported |= runner.imported
        values = self._settle(names, runner, path)
        if base_nodes:
            values = merge(bases.values, values)
        return Parsed(values, bases.imported, bases.texts)

    def _settle(self, names: ConfigDict, runner: Interpreter, path: str) -> ConfigDict:
        kept = {key: value for key, value in names.items() if not str(key).startswith("__")}
        origins = names.origins_of()
        for key in RESERVED:
            if key in kept:
                raise ConfigError(f"{key!r} is a reserved name", origins.get(key))
        node = make(kept, {key: origins[key] for key in kept if key in origins}, Fresh)
        imported = {key: dict.pop(node, key) for key in runner.imported if key in node}
        result = settle(node, self.fuel)
        dict.update(result, imported)
        return result

    def _bases(self, node: ast.expr, path: str) -> Parsed:
        """All files that ``_base_ = …`` names, merged."""
        runner = Interpreter(path, self.fuel)
        names = runner.names
        runner.run(
            [ast.copy_location(ast.Assign([ast.Name(BASE, lineno=node.lineno)], node), node)]
        )
        value = names[BASE]
        lines = getattr(node, "elts", [])
        wanted = [value] if isinstance(value, str) else value
        if not isinstance(wanted, list | tuple) or not all(isinstance(w, str) for w in wanted):
            raise ConfigError(f"_base_ must be a path or a list of paths, got {value!r:.60}")
        places = [
            Origin(path, lines[i].lineno if i < len(lines) else node.lineno)
            for i in range(len(wanted))
        ]
        return self.merge_bases(list(wanted), places, path)

    def merge_bases(self, wanted: list[str], places: list[Origin], path: str) -> Parsed:
        """The bases read one after the other; a key may come from one of them only."""
        result = Parsed(ConfigDict())
        for name, place in zip(wanted, places):
            file, scope = self._base_file(name, path, place)
            parsed = self.read(file, place, scope)
            twice = (result.values.keys() & parsed.values.keys()) - parsed.imported
            if twice:
                key = min(twice)
                raise ConfigError(
                    f"two bases set {key!r}: {origin_of(result.values, key)} and "
                    f"{origin_of(parsed.values, key)}",
                    place,
                )
            result.values.update(parsed.values)
            result.imported |= parsed.imported
            result.texts += parsed.texts
        return result

    def _base_file(self, name: str, path: str, place: Origin) -> tuple[str, str]:
        if "::" in name:
            library, _, inner = name.partition("::")
            return packages.find(library, inner, self.packages, place), library
        return os.path.join(os.path.dirname(path), name), ""

    def _inherit(self, node: ast.ImportFrom, runner: Interpreter, bases: Parsed, path: str) -> None:
        """One ``from .base import *`` of a ``with read_base():`` block."""
        place = runner.origin(node)
        file = self._module_file(node, path, place)
        parsed = self.read(file, place)
        bases.texts += parsed.texts
        values = duplicate(parsed.values)
        for alias in node.names:
            if alias.name == "*":
                picked = {key: key for key in values}
            elif alias.name in values:
                picked = {alias.name: alias.asname or alias.name}
            else:
                raise ConfigError(f"{shown(file)} sets no {alias.name!r}", place)
            for key, name in picked.items():
                dict.__setitem__(runner.names, name, dict.__getitem__(values, key))
                runner.names.mark(name, origin_of(values, key))
                if key in parsed.imported:
                    runner.imported.add(name)

    def _module_file(self, node: ast.ImportFrom, path: str, place: Origin) -> str:
        parts = (node.module or "").split(".")
        if node.level:
            folder = os.path.dirname(path)
            for _ in range(node.level - 1):
                folder = os.path.dirname(folder)
            return os.path.join(folder, *parts) + ".py"
        inner = "/".join(parts[1:]) + ".py"
        given = self.packages
        return packages.find(parts[0], inner.removeprefix("configs/"), given, place)

    def _parse_data(self, text: str, path: str, suffix: str) -> Parsed:
        values = formats.parse(text, path, suffix, self.fuel)
        settle(values, self.fuel)
        wanted = dict.pop(values, BASE, None)
        if wanted is None:
            return Parsed(values)
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        place = values.origins_of().pop(BASE, Origin(path))
        bases = self.merge_bases(names, [place] * len(names), path)
        values = formats.fill_bases(values, bases.values)
        return Parsed(merge(bases.values, values), bases.imported, bases.texts)


def _is_base(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == BASE for target in node.targets
    )


def read_file(path: str, **options: Any) -> tuple[Parsed, dict[str, str]]:
    """Read ``path`` and its bases: the value, and the environment variables it used."""
    reader = Reader(Fuel(), **options)
    parsed = reader.read(path)
    return finish(reader, parsed), reader.env_variables


def finish(reader: Reader, parsed: Parsed) -> Parsed:
    """Drop imported names, part what is shared, and warn of a deprecated config."""
    for name in parsed.imported:
        if name in parsed.values:
            del parsed.values[name]
    if reader.shared:
        settle(parsed.values, reader.fuel)
    deprecation = parsed.values.pop("_deprecation_", None)
    if isinstance(deprecation, dict):
        expected = deprecation.get("expected", "another config")
        reference = deprecation.get("reference", "")
        path = parsed.texts[0][0] if parsed.texts else "this config"
        warnings.warn(
            f"{shown(path)} is deprecated, use {expected} {reference}".strip(),
            DeprecationWarning,
            stacklevel=4,
        )
    return parsed

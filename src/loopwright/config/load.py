"""Reading a config file with all it inherits from, as data."""

from __future__ import annotations

import ast
import os
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from loopwright.config import formats, packages, substitute
from loopwright.config.deferred import Deferred
from loopwright.config.errors import ConfigError
from loopwright.config.evaluate import Evaluator, Fresh, source
from loopwright.config.limits import LIMITS, Fuel, Limits
from loopwright.config.merge import merge
from loopwright.config.node import ConfigDict, duplicate, make
from loopwright.config.provenance import Origin, origin_of, shown
from loopwright.config.statements import Interpreter, parse

BASE = "_base_"
RESERVED = ("filename", "text", "pretty_text", "env_variables")
DENIED = frozenset(
    """os posix nt sys subprocess builtins shutil socket pickle marshal ctypes importlib runpy code
    codeop pty signal multiprocessing threading asyncio tempfile webbrowser urllib http ftplib
    smtplib requests pathlib io function""".split()
)
_PLAIN_TYPES = frozenset({"dict", "list", "tuple", "set", "int", "float", "str", "bool", "bytes"})


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


def read_text(path: str, limits: Limits = LIMITS, origin: Origin | None = None) -> str:
    """The text of a config file; a ConfigError for what is missing, too big, or no text."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{shown(path)} is no regular file", origin)
        if status.st_size > limits.file_bytes:
            raise ConfigError(f"{shown(path)} is larger than {limits.file_bytes} bytes", origin)
        with open(path, "rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError as fault:
        raise ConfigError(_not_found(path, fault), origin) from None
    except ValueError as fault:
        raise ConfigError(f"{path!r} is no path: {fault}", origin) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{shown(path)} is not UTF-8 at byte {fault.start}") from None
    if "\0" in text:
        raise ConfigError(f"{shown(path)} holds a NUL at byte {data.index(0)}")
    return text.replace("\r\n", "\n")


def _not_found(path: str, fault: OSError) -> str:
    folder, name = os.path.split(path)
    text = f"cannot read {shown(path)}: {fault.strerror}"
    if not os.path.isdir(folder):
        return f"{text}; there is no folder {shown(folder)}"
    close = get_close_matches(name, os.listdir(folder), n=1)
    return f"{text}; did you mean {close[0]!r}?" if close else text


def stamp_scope(value: Any, scope: str) -> None:
    """Give each outermost dict with a ``type`` the ``_scope_`` of the library it came from."""
    if isinstance(value, dict):
        if "type" in value:
            value.setdefault("_scope_", scope)
            return
        for child in value.values():
            stamp_scope(child, scope)
    elif isinstance(value, list | tuple):
        for child in value:
            stamp_scope(child, scope)


def settle(value: Any, fuel: Fuel) -> Any:
    """``value`` as a tree of ConfigDicts: shared parts copied, size and leaves checked."""
    fuel.weigh(value)
    return _settle(value, set(), "")


def _settle(value: Any, seen: set[int], path: str) -> Any:
    kind = value.__class__
    if kind is Fresh or kind is ConfigDict:
        if id(value) in seen:
            value = value.copy()
        seen.add(id(value))
        for key, child in value.items():
            if child.__class__ in _SETTLED:
                dict.__setitem__(value, key, _settle(child, seen, f"{path}.{key}"))
        if kind is Fresh:
            object.__setattr__(value, "__class__", ConfigDict)
        return value
    if kind is list:
        result = list(value) if id(value) in seen else value
        seen.add(id(result))
        for index, child in enumerate(result):
            if child.__class__ in _SETTLED:
                result[index] = _settle(child, seen, path)
        return result
    if kind is tuple:
        return tuple([_settle(child, seen, path) for child in value])
    if kind is Deferred:
        _check_name(value, path)
    return value


_SETTLED = frozenset({Fresh, ConfigDict, list, tuple, Deferred})


def _check_name(name: Deferred, path: str) -> None:
    root = name.dotted.partition(".")[0]
    plain = root == "builtins" and name.name in _PLAIN_TYPES
    if root in DENIED and not plain:
        raise ConfigError(f"{path.lstrip('.')} names {name.dotted}, which no config may use")


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


__all__ = ["Evaluator", "Parsed", "Reader", "finish", "read_file", "read_text", "settle", "source"]

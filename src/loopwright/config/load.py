"""Reading a config file with all it inherits from, as data."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loopwright.config import formats, packages, python_form, substitute
from loopwright.config.environment import Environment
from loopwright.config.errors import ConfigError, brief
from loopwright.config.fresh import settle, stamp_scope
from loopwright.config.limits import Fuel
from loopwright.config.merge import merge
from loopwright.config.node import ConfigDict, duplicate
from loopwright.config.provenance import Origin, origin_of, shown
from loopwright.config.source import near_file, read_text

BASE = python_form.BASE
RESERVED = ("filename", "text", "pretty_text", "env_variables")
SUFFIXES = (".py", ".yaml", ".yml", ".json", ".toml")


@dataclass(slots=True)
class Parsed:
    """One file and its bases: values, what it imported, and the texts read."""

    values: ConfigDict = field(default_factory=ConfigDict)
    imports: dict[str, Any] = field(default_factory=dict)
    texts: list[tuple[str, str]] = field(default_factory=list)
    shared: bool = False


@dataclass(slots=True)
class Reader:
    """One reading: its bounds, its search path, and what it has read so far."""

    fuel: Fuel = field(default_factory=Fuel)
    packages: Mapping[str, str] = field(default_factory=dict)
    predefined: bool = True
    environment: bool = True
    trust: bool = False
    variables: Environment = field(default_factory=Environment)
    chain: list[str] = field(default_factory=list)
    done: dict[tuple[str, str], Parsed] = field(default_factory=dict)

    def read(self, path: str, origin: Origin | None = None, scope: str = "") -> Parsed:
        """The value of ``path`` merged over its bases, for the caller to change as it likes."""
        parsed, first = self.look(path, origin, scope)
        if first:
            return parsed
        self.fuel.weigh(parsed.values)
        return Parsed(duplicate(parsed.values), dict(parsed.imports))

    def look(self, path: str, origin: Origin | None = None, scope: str = "") -> tuple[Parsed, bool]:
        """The same to look at only, and whether it is new: each file is read once and kept."""
        if "\0" in path:
            raise ConfigError(f"{path!r} is no path", origin)
        self.fuel.spend(20)
        path = os.path.abspath(path)
        real = os.path.realpath(path)
        first = (real, scope) not in self.done
        if first:
            self.done[real, scope] = self._read(path, real, origin, scope)
        return self.done[real, scope], first

    def _read(self, path: str, real: str, origin: Origin | None, scope: str) -> Parsed:
        _check_suffix(path, origin)
        self._enter(real, path, origin)
        try:
            text = read_text(path, self.fuel.limits, origin)
            self.fuel.spend(len(text) >> 6)
            parsed = self.parse(text, path)
            _warn_of_deprecation(parsed.values, path)
            if scope:
                stamp_scope(parsed.values, scope)
            if parsed.shared:
                settle(parsed.values, self.fuel, part=True)
        except ConfigError as fault:
            if fault.origin is None:
                raise ConfigError(fault.message, Origin(path)) from None
            if origin is not None:
                fault.add_note(f"{shown(path)} is inherited at {origin}")
            raise
        finally:
            self.chain.pop()
        parsed.texts.insert(0, (path, text))
        return parsed

    def _enter(self, real: str, path: str, origin: Origin | None) -> None:
        if real in self.chain:
            cycle = [*self.chain[self.chain.index(real) :], real]
            raise ConfigError(f"_base_ goes in a circle: {' → '.join(map(shown, cycle))}", origin)
        self.fuel.files -= 1
        if len(self.chain) >= self.fuel.limits.base_depth or self.fuel.files < 0:
            raise ConfigError(f"too many files in the _base_ chain of {shown(path)}", origin)
        self.chain.append(real)

    def parse(self, text: str, path: str) -> Parsed:
        """The value of ``text``, which stands in ``path``."""
        if "{{" in text:
            text = substitute.predefined(text, path) if self.predefined else text
            if self.environment:
                text = substitute.environment(text, path, self.variables)
        read = self._python if path.lower().endswith(".py") else self._data
        parsed = read(text, path)
        for key in RESERVED:
            if key in parsed.values:
                raise ConfigError(f"{key!r} is a reserved name", origin_of(parsed.values, key))
        return parsed

    def _python(self, text: str, path: str) -> Parsed:
        form = python_form.split(text, path)
        bases = Parsed()
        if form.base is not None:
            bases = self.bases(*python_form.base_names(form.base, path, self.fuel), path)
        inherited = bases.texts

        def inherit(library: str, file: str, place: Origin) -> Parsed:
            if library:
                file = packages.find(library, file, self.packages, place)
            parsed, first = self.look(file, place)
            inherited.extend(parsed.texts if first else ())
            return parsed

        runner = python_form.run(
            form,
            path,
            self.fuel,
            bases.values,
            inherit,
            environment=self.variables,
            trust=self.trust,
        )
        values = settle(runner.kept(), self.fuel)
        if form.base is not None:
            values = merge(bases.values, values)
        return Parsed(values, runner.imports, inherited, runner.shared)

    def _data(self, text: str, path: str) -> Parsed:
        values = formats.parse(text, path, self.fuel)
        settle(values, self.fuel, part=True)
        wanted = dict.pop(values, BASE, None)
        if wanted is None:
            return Parsed(values)
        names = [wanted] if isinstance(wanted, str) else wanted
        place = values.origins_of().pop(BASE, Origin(path))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError(
                f"_base_ must be a path or a list of paths, got {brief(wanted)}", place
            )
        bases = self.bases(names, [place] * len(names), path)
        values = formats.fill_bases(values, bases.values, self.fuel)
        return Parsed(merge(bases.values, values), {}, bases.texts, shared=True)

    def bases(self, names: list[str], places: list[Origin], path: str) -> Parsed:
        """The bases read one after the other; a key may come from one of them only."""
        result = Parsed()
        for name, place in zip(names, places):
            file, scope = self._base_file(name, path, place)
            parsed = self.read(file, place, scope)
            twice = result.values.keys() & parsed.values.keys()
            if twice:
                first, second = (origin_of(p.values, min(twice)) for p in (result, parsed))
                raise ConfigError(f"two bases set {min(twice)!r}: {first} and {second}", place)
            result.values.update(parsed.values)
            result.texts += parsed.texts
        return result

    def _base_file(self, name: str, path: str, place: Origin) -> tuple[str, str]:
        if "::" in name:
            library, _, inner = name.partition("::")
            return packages.find(library, inner, self.packages, place), library
        return os.path.join(os.path.dirname(path), name), ""


def _check_suffix(path: str, origin: Origin | None) -> None:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        wanted = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        text = f"a config ends in {wanted}, not {suffix!r}: {shown(path)}{near_file(path)}"
        raise ConfigError(text, origin)


def read_file(path: str, **options: Any) -> tuple[Parsed, dict[str, str]]:
    """Read ``path`` and its bases: the value, and the environment variables it used."""
    reader = Reader(**options)
    reader.variables.readable = reader.environment
    parsed = reader.read(path)
    return parsed, reader.variables.used


def read_string(text: str, suffix: str) -> tuple[Parsed, dict[str, str]]:
    """The same for a text that stands in no file; its bases are relative to this folder."""
    reader = Reader()
    path = os.path.abspath(f"<string>{suffix}")
    _check_suffix(path, None)
    try:
        parsed = reader.parse(text, path)
        settle(parsed.values, reader.fuel, part=True)
    except ConfigError as fault:
        if fault.origin is None:
            raise ConfigError(fault.message, Origin(path)) from None
        raise
    return parsed, reader.variables.used


def _warn_of_deprecation(values: ConfigDict, path: str) -> None:
    """``_deprecation_ = dict(expected=…, reference=…)`` is told and taken out."""
    if "_deprecation_" not in values:
        return
    notice = values.pop("_deprecation_")
    notice = notice if isinstance(notice, dict) else {}
    more = f", see {notice['reference']}" if "reference" in notice else ""
    text = f"{shown(path)} is deprecated, use {notice.get('expected', 'another config')}{more}"
    warnings.warn(text, DeprecationWarning, stacklevel=6)

"""YAML, JSON and TOML configs as data, with the line of every key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from loopwright.config import substitute
from loopwright.config.errors import ConfigError
from loopwright.config.limits import Fuel
from loopwright.config.node import ConfigDict, make
from loopwright.config.provenance import Origin

_BARE_BASE = re.compile(r"(?<![\"'\w{])(\{\{\s*_base_\.[\w.]+\s*\}\})(?=\s*(?:[,\]}\n]|$))")
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


def parse(text: str, path: str, fuel: Fuel) -> ConfigDict:
    """The dict that a data file holds."""
    suffix = os.path.splitext(path)[1].lower()
    text = _BARE_BASE.sub(r'"\1"', text) if "{{" in text else text
    try:
        value = _READERS[suffix](text, path, fuel)
    except RecursionError:
        raise ConfigError("the config is nested too deeply", Origin(path)) from None
    if value is None and suffix in (".yaml", ".yml"):
        return ConfigDict()
    if not isinstance(value, ConfigDict):
        raise ConfigError(f"a config is a dict, got {type(value).__name__}", Origin(path))
    return value


def fill_bases(value: Any, base: ConfigDict, fuel: Fuel) -> Any:
    """``value`` with every ``{{_base_.a}}`` in its strings replaced."""
    if isinstance(value, ConfigDict):
        items = {key: fill_bases(child, base, fuel) for key, child in value.items()}
        return make(items, value.origins_of())
    if isinstance(value, list):
        return [fill_bases(child, base, fuel) for child in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    whole = substitute.whole_base_value(value)
    if whole is None:
        return substitute.base_filler(base, fuel)(value)
    return substitute.follow(base, whole)


class _Json:
    """A cursor over a JSON text; the standard module does not tell lines."""

    def __init__(self, text: str, path: str, fuel: Fuel) -> None:
        self.text, self.path, self.fuel = text, path, fuel
        self.at = 0
        self.line, self.counted = 1, 0

    def document(self) -> Any:
        value = self.value()
        self.skip()
        if self.at != len(self.text):
            raise self.fault("nothing more")
        return value

    def value(self) -> Any:
        self.skip()
        self.fuel.spend(1)
        char = self.text[self.at : self.at + 1]
        if char == "{":
            return self.dict()
        if char == "[":
            return self.list()
        if char == '"':
            return self.string()
        return self.scalar()

    def dict(self) -> ConfigDict:
        items: dict[Any, Any] = {}
        origins: dict[Any, Origin] = {}
        self.at += 1
        while not self.closes("}", first=not items):
            self.skip()
            if self.text[self.at : self.at + 1] != '"':
                raise self.fault("a key in double quotes")
            place = self.origin()
            key = self.string()
            self.skip()
            if self.text[self.at : self.at + 1] != ":":
                raise self.fault("':'")
            self.at += 1
            items[key] = self.value()
            origins[key] = place
        return make(items, origins)

    def list(self) -> list[Any]:
        items: list[Any] = []
        self.at += 1
        while not self.closes("]", first=not items):
            items.append(self.value())
        return items

    def closes(self, bracket: str, *, first: bool) -> bool:
        """Step over ``bracket`` (true) or over the comma before the next element (false)."""
        self.skip()
        char = self.text[self.at : self.at + 1]
        if char == bracket:
            self.at += 1
            return True
        if not first:
            if char != ",":
                raise self.fault(f"',' or {bracket!r}")
            self.at += 1
        return False

    def string(self) -> str:
        try:
            value, self.at = scanstring(self.text, self.at + 1, True)
        except json.JSONDecodeError as fault:
            raise ConfigError(f"JSON: {fault.msg}", Origin(self.path, fault.lineno)) from None
        return str(value)

    def scalar(self) -> Any:
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        match = _NUMBER.match(self.text, self.at)
        if match is None or len(match[0]) > 4000:
            raise self.fault("a value")
        self.at = match.end()
        return int(match[0]) if match[0].lstrip("-").isdigit() else float(match[0])

    def skip(self) -> None:
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]

    def origin(self) -> Origin:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return Origin(self.path, self.line)

    def fault(self, wanted: str) -> ConfigError:
        got = self.text[self.at : self.at + 12] or "the end"
        return ConfigError(f"JSON: wanted {wanted}, got {got!r}", self.origin())


def _json(text: str, path: str, fuel: Fuel) -> Any:
    return _Json(text, path, fuel).document()


def _yaml(text: str, path: str, fuel: Fuel) -> Any:
    import yaml

    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(text, path, fuel, kind)
        loader = kind(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Yaml(loader, path, fuel).value(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        text = getattr(fault, "problem", None) or str(fault).splitlines()[0]
        raise ConfigError(f"YAML: {text}", Origin(path, mark.line + 1 if mark else 0)) from None


_DEEP_LINE = re.compile(r"^[ \t?:-]{200}", re.MULTILINE)


def _check_depth(text: str, path: str, fuel: Fuel, loader: Any) -> None:
    """Refuse nesting so deep that the C composer's own stack is at risk; it would not say so.

    Nor would it say that it makes objects by the million.
    """
    import yaml

    many = sum(map(text.count, ",\n:")) > fuel.limits.steps
    if not many and text.count("[") + text.count("{") < 200 and not _DEEP_LINE.search(text):
        return
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=loader)):
        if count > 2 * fuel.limits.steps:
            raise ConfigError("the config holds too many values", Origin(path))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > 2 * fuel.limits.depth:
            raise ConfigError("the config is nested too deeply", Origin(path))


class _Yaml:
    """Values of YAML nodes; only the tags of plain data, and each alias paid for."""

    scalars = frozenset({"str", "int", "float", "bool", "null", "timestamp"})

    def __init__(self, loader: Any, path: str, fuel: Fuel) -> None:
        self.loader, self.path, self.fuel = loader, path, fuel
        self.done: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        self.fuel.spend(1)
        if id(node) in self.done:
            if self.done[id(node)] is _OPEN:
                raise ConfigError("YAML: an alias inside its own anchor", self.origin(node))
            return self.done[id(node)]
        self.done[id(node)] = _OPEN
        self.done[id(node)] = result = self._make(node)
        return result

    def origin(self, node: Any) -> Origin:
        return Origin(self.path, node.start_mark.line + 1)

    def _make(self, node: Any) -> Any:
        space, _, tag = node.tag.rpartition(":")
        if space != "tag:yaml.org,2002":
            raise ConfigError(f"YAML: tag {node.tag!r} is not plain data", self.origin(node))
        if node.id == "scalar" and tag in self.scalars:
            return self._scalar(node)
        if node.id == "sequence" and tag == "seq":
            return [self.value(child) for child in node.value]
        if node.id == "mapping" and tag == "map":
            return self._mapping(node)
        raise ConfigError(f"YAML: tag {node.tag!r} is not plain data", self.origin(node))

    def _scalar(self, node: Any) -> Any:
        self.fuel.spend(len(node.value) >> 5)
        if node.tag.endswith(":int"):
            self.fuel.number(len(node.value))
        try:
            return self.loader.construct_object(node)
        except (ValueError, KeyError, OverflowError) as fault:
            raise ConfigError(f"YAML: {fault}", self.origin(node)) from None

    def _mapping(self, node: Any) -> ConfigDict:
        items: dict[Any, Any] = {}
        origins: dict[Any, Origin] = {}
        for key_node, value_node in node.value:
            if key_node.tag.endswith(":merge"):
                self._merge_key(value_node, items, origins)
        for key_node, value_node in node.value:
            if key_node.tag.endswith(":merge"):
                continue
            key = "=" if key_node.tag.endswith(":value") else self.value(key_node)
            if isinstance(key, dict | list):
                raise ConfigError("YAML: a key must be plain", self.origin(key_node))
            items[key] = self.value(value_node)
            origins[key] = self.origin(key_node)
        return make(items, origins)

    def _merge_key(self, node: Any, items: dict[Any, Any], origins: dict[Any, Origin]) -> None:
        """``<<: *anchor``; of several, the first has the last word."""
        value = self.value(node)
        for source in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(source, ConfigDict):
                raise ConfigError("YAML: << wants a mapping", self.origin(node))
            self.fuel.sized(len(source))
            items.update(source)
            origins.update(source.origins_of())


_OPEN: Any = object()
_TOML_LINE = re.compile(r"^[ \t]*(?:(\[\[?)([^\]\n]+)\]|([\w.\"'-]+)[ \t]*=)", re.MULTILINE)


def _toml(text: str, path: str, fuel: Fuel) -> Any:
    import tomllib  # read only here: most runs never see a TOML file

    _check_keys(text, path, fuel)
    try:
        value = tomllib.loads(text)
    except ValueError as fault:  # TOMLDecodeError, and integers of too many digits
        found = re.search(r"line (\d+)", str(fault))
        line = int(found[1]) if found else 0
        raise ConfigError(f"TOML: {fault}", Origin(path, line)) from None
    config = ConfigDict(value)
    _mark_toml(config, text, path)
    return config


_TOML_DOTS = re.compile(
    r'''"""(?:[^\\]|\\.)*?(?:"""|\Z)|\'{3}.*?(?:\'{3}|\Z)'''
    r"""|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\#[^\n]*|[.=,\n]""",
    re.DOTALL,
)


def _check_keys(text: str, path: str, fuel: Fuel) -> None:
    """Refuse a dotted key of very many parts, for which tomllib takes memory without end."""
    dots = 0
    for match in _TOML_DOTS.finditer(text):
        if match[0] == ".":
            dots += 1
            if dots > fuel.limits.depth:
                raise ConfigError("a key is nested too deeply", Origin(path))
        elif match[0] in "=,\n":
            dots = 0


def _mark_toml(config: ConfigDict, text: str, path: str) -> None:
    """Places from a look at the lines: tables and plain keys; inline tables have their line."""
    table: Any = config
    line, counted = 1, 0
    for match in _TOML_LINE.finditer(text):
        start = match.start(2 if match[1] else 3)
        line, counted = line + text.count("\n", counted, start), start
        origin = Origin(path, line)
        names = [part.strip(" \"'") for part in (match[2] or match[3]).split(".")]
        node: Any = config if match[1] else table
        for name in names:
            if isinstance(node, list) and node:
                node = node[-1]
            if not isinstance(node, ConfigDict) or name not in node:
                break
            node.mark(name, origin)
            node = node[name]
        if match[1]:
            table = node[-1] if isinstance(node, list) and node else node


_READERS: dict[str, Callable[[str, str, Fuel], Any]] = {
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": _toml,
}

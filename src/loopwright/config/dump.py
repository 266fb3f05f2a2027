"""A config as text that reads back as the same value: Python, YAML or JSON."""

from __future__ import annotations

import json
import keyword
import math
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from loopwright.config.deferred import Deferred
from loopwright.config.errors import ConfigError
from loopwright.config.functions import FUNCTIONS

WIDTH = 100
_RESERVED = ("filename", "text", "pretty_text", "env_variables", "_base_")


def dump(values: Mapping[Any, Any], suffix: str = ".py") -> str:
    """``values`` as the text of a config file; a ConfigError for what no file can hold.

    >>> print(dump({"model": {"type": Deferred("torch.nn", "Conv2d"), "size": (3, 3)}}), end="")
    from torch.nn import Conv2d
    <BLANKLINE>
    model = dict(type=Conv2d, size=(3, 3))
    """
    if suffix == ".py":
        return _Python(strict=True).document(values)
    if suffix == ".json":
        return json.dumps(data(values), indent=4, ensure_ascii=False, default=_refuse) + "\n"
    if suffix in (".yaml", ".yml"):
        import yaml

        try:
            return str(yaml.safe_dump(data(values), sort_keys=False, allow_unicode=True))
        except yaml.YAMLError as fault:
            raise ConfigError(f"YAML cannot hold this: {fault}") from None
    raise ConfigError(f"a config is dumped as .py, .yaml or .json, not {suffix!r}")


def pretty(values: Mapping[Any, Any]) -> str:
    """The same as Python text for reading: what cannot be written stands there as its repr."""
    return _Python(strict=False).document(values)


def _refuse(value: Any) -> Any:
    raise ConfigError(f"JSON cannot hold {value!r:.60}")


def data(value: Any) -> Any:
    """``value`` in what JSON and YAML know: tuples and sets as lists, names as texts."""
    if isinstance(value, dict):
        return {_key(key): data(child) for key, child in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [data(child) for child in value]
    name = dotted_name(value)
    return value if name is None else name.dotted


def _key(key: Any) -> Any:
    return key if key is None or isinstance(key, str | int | float | bool) else str(key)


def dotted_name(value: Any) -> Deferred | None:
    """The importable name of a Deferred, a class or a function; ``None`` for other values."""
    if isinstance(value, Deferred):
        return value
    name = getattr(value, "__qualname__", None)
    module = getattr(value, "__module__", None)
    if not isinstance(name, str) or not isinstance(module, str):
        return None
    if "<" in name:
        raise ConfigError(f"{module}.{name} is local to a function: no config can name it")
    return Deferred(module, name)


class _Python:
    """Writes Python text, collecting the imports it needs."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.imports: dict[tuple[str, str], str] = {}
        self.taken: set[str] = set()
        self.functions: set[str] = set()

    def document(self, values: Mapping[Any, Any]) -> str:
        """All assignments, under the imports that they need."""
        self.taken = {str(key) for key in values}
        body = []
        for key, value in values.items():
            self._check_top(key)
            body.append(f"{key} = {self.text(value, 0, len(str(key)) + 3)}\n")
        clash = self.functions & values.keys()
        if clash and self.strict:
            raise ConfigError(f"{min(clash)!r} is a key, and its values need the function")
        lines = [_import_line(*names, alias) for names, alias in sorted(self.imports.items())]
        return "".join([*lines, "\n"] if lines else []) + "".join(body)

    def _check_top(self, key: Any) -> None:
        if self.strict and (not _is_name(key) or key.startswith("__") or key in _RESERVED):
            raise ConfigError(f"{key!r} cannot be a name in a .py config; dump as .yaml or .json")

    def text(self, value: Any, indent: int, used: int) -> str:
        """``value`` on one line if that fits behind ``used`` columns, else one element a line."""
        line = self.line(value, WIDTH - indent - used)
        if line is not None:
            return line
        inner, outer = " " * (indent + 4), " " * indent
        opening, closing, parts = self._broken(value, indent + 4)
        return f"{opening}\n" + "".join(f"{inner}{part},\n" for part in parts) + outer + closing

    def _broken(self, value: Any, indent: int) -> tuple[str, str, list[str]]:
        if isinstance(value, dict):
            if self.is_call(value):
                parts = [f"{k}={self.text(v, indent, len(k) + 2)}" for k, v in value.items()]
                return "dict(", ")", parts
            keys = [(self.key(key), child) for key, child in value.items()]
            return "{", "}", [f"{k}: {self.text(v, indent, len(k) + 3)}" for k, v in keys]
        opening, closing, _ = self.brackets(value)
        return opening, closing, [self.text(child, indent, 1) for child in _ordered(value)]

    def line(self, value: Any, room: int) -> str | None:
        """``value`` on one line, or ``None`` where it is longer than ``room``."""
        if not isinstance(value, dict | list | tuple | set | frozenset):
            return self.leaf(value)  # cannot be broken, however long
        if not value:
            return self.empty(value)
        if isinstance(value, dict):
            call = self.is_call(value)
            opening, closing = ("dict(", ")") if call else ("{", "}")
            heads = [f"{key}=" if call else f"{self.key(key)}: " for key in value]
            children: Iterable[Any] = value.values()
        else:
            opening, closing, comma = self.brackets(value)
            closing = comma + closing
            heads, children = [""] * len(value), _ordered(value)
        room -= len(opening) + len(closing)
        parts = []
        for head, child in zip(heads, children):
            part = self.line(child, room - len(head))
            room -= len(head) + (WIDTH if part is None else len(part)) + 2
            if part is None or room < -2:
                return None
            parts.append(head + part)
        return opening + ", ".join(parts) + closing

    def key(self, value: Any) -> str:
        return self.leaf(value) if not isinstance(value, tuple) else str(self.line(value, 1 << 30))

    def is_call(self, value: Mapping[Any, Any]) -> bool:
        """Whether a dict is written ``dict(key=…)``."""
        return "dict" not in self.taken and all(map(_is_name, value))

    def brackets(self, value: Any) -> tuple[str, str, str]:
        """Opening, closing, and the comma that a tuple of one needs on its line."""
        if isinstance(value, tuple):
            return "(", ")", "," if len(value) == 1 else ""
        if isinstance(value, frozenset):
            self.functions.add("frozenset")
            return "frozenset({", "})", ""
        return ("{", "}", "") if isinstance(value, set) else ("[", "]", "")

    def empty(self, value: Any) -> str:
        text = next(text for kind, text in _EMPTY.items() if isinstance(value, kind))
        if text[0].isalpha():
            self.functions.add(text[:-2])
        return text if text != "dict()" or self.is_call(value) else "{}"

    def leaf(self, value: Any) -> str:
        """One value that has no parts."""
        kind = type(value)
        if kind is str:
            return _quoted(value)
        if value is None or kind in (bool, int, bytes, complex) or value is Ellipsis:
            return "..." if value is Ellipsis else repr(value)
        if isinstance(value, float):
            return self._float(value)
        if kind in (range, slice):
            self.functions.add(kind.__name__)
            return repr(value)
        if isinstance(value, int | str):
            return self.leaf(int(value) if isinstance(value, int) else str(value))
        return self._named(value)

    def _float(self, value: float) -> str:
        if math.isfinite(value):
            return float.__repr__(value)
        self.functions.add("float")
        return f"float({float.__repr__(value)!r})"

    def _named(self, value: Any) -> str:
        try:
            name = dotted_name(value)
        except ConfigError:
            name = None
        if name is None:
            if self.strict:
                raise ConfigError(f"a config file cannot hold {value!r:.80} ({type(value)})")
            return _quoted(f"<{type(value).__name__}>")
        if name.module == "builtins" and name.name in FUNCTIONS:
            self.functions.add(name.name)
            return name.name
        return self._imported(name)

    def _imported(self, name: Deferred) -> str:
        if not name.name:
            parent, _, last = name.module.rpartition(".")
            head, rest = (parent, last), ""
        else:
            first, _, rest = name.name.partition(".")
            head = (name.module, first)
        if head not in self.imports:
            alias, number = head[1], 1
            while alias in self.taken or alias in FUNCTIONS:
                alias, number = f"{head[1]}_{number}", number + 1
            self.taken.add(alias)
            self.imports[head] = alias
        return self.imports[head] + (f".{rest}" if rest else "")


def _is_name(key: Any) -> bool:
    """Whether Python reads a key back as it is; it folds letters like ``ª`` into others."""
    if type(key) is not str or not key.isidentifier() or keyword.iskeyword(key):
        return False
    return key.isascii() or unicodedata.normalize("NFKC", key) == key


def _import_line(module: str, name: str, alias: str) -> str:
    renamed = "" if alias == name else f" as {alias}"
    return f"from {module} import {name}{renamed}\n" if module else f"import {name}{renamed}\n"


_EMPTY: dict[Any, str] = {
    dict: "dict()",
    list: "[]",
    tuple: "()",
    set: "set()",
    frozenset: "frozenset()",
}


def _ordered(value: Any) -> list[Any]:
    """Elements in order; those of a set by their repr, so that a dump is always the same."""
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else list(value)


def _quoted(text: str) -> str:
    """A literal in which no ``{{…}}`` is left for the reader to fill in."""
    literal = repr(text)
    if "{{" not in literal:
        return literal
    quote = literal[0]
    return literal.replace("{{", "{" + quote + " " + quote + "{")

"""Overrides from a command line: ``a.b=1``, ``+a.new=2``, ``~a.gone``, and ``--cfg-options``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loopwright.config.errors import ConfigError, nearest
from loopwright.config.merge import merge
from loopwright.config.node import ConfigDict, convert, duplicate
from loopwright.config.provenance import COMMAND_LINE, Origin

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*(_\d+)*)")
_FLOAT = re.compile(r"[+-]?((\d+\.\d*|\.\d+)([eE][+-]?\d+)?|\d+[eE][+-]?\d+|inf|nan)")
_WORDS = {"true": True, "false": False}
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_BARE = re.compile(r"[^\s\[\](){},'\"=:]+([ \t]+[^\s\[\](){},'\"=:]+)*")


@dataclass(frozen=True, slots=True)
class Override:
    """One change: ``op`` is ``""`` (set what exists), ``"+"`` (set or add) or ``"~"`` (delete)."""

    op: str
    path: tuple[str, ...]
    value: Any = None

    def __str__(self) -> str:
        keys = ".".join(_quoted_key(part) for part in self.path)
        return (
            f"{self.op}{keys}" if self.op == "~" else f"{self.op}{keys}={print_value(self.value)}"
        )


def parse_override(text: str) -> Override:
    """Read one override.

    >>> parse_override("optim_wrapper.optimizer.lr=1e-3")
    Override(op='', path=('optim_wrapper', 'optimizer', 'lr'), value=0.001)
    >>> parse_override("+env.sizes=(1,[2,true])").value
    (1, [2, True])
    >>> parse_override("~param_scheduler.0").path
    ('param_scheduler', '0')
    """
    text = text.strip()
    op = text[0] if text[:1] in ("+", "~") else ""
    body = text[len(op) :]
    at = _split_point(body)
    key = body if at < 0 else body[:at]
    if op == "~":
        if at >= 0:
            raise ConfigError(f"override {text!r}: ~key deletes and takes no value")
        return Override(op, split_path(key))
    if at < 0:
        raise ConfigError(f"override {text!r} is not key=value (to delete a key say ~key)")
    path = split_path(key)
    try:
        return Override(op, path, parse_value(body[at + 1 :]))
    except ConfigError as error:
        raise ConfigError(f"override of {key.strip()}: {error}") from None


def _split_point(body: str) -> int:
    """The first ``=`` that stands outside quotes."""
    quote = ""
    for index, char in enumerate(body):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "=":
            return index
    return -1


def split_path(text: str) -> tuple[str, ...]:
    """The keys of a dotted path; a key that holds a dot stands in quotes.

    >>> split_path("custom_keys.'backbone.norm'.lr_mult")
    ('custom_keys', 'backbone.norm', 'lr_mult')
    """
    parts = [
        quoted[1:-1] if quoted else bare
        for quoted, bare in re.findall(r"""('[^']*'|"[^"]*")|([^.'"]+)""", text.strip())
    ]
    printed = re.sub(r"""('[^']*'|"[^"]*")|([^.'"]+)""", "x", text.strip())
    if not parts or printed != ".".join("x" * len(parts)):
        raise ConfigError(f"{text!r} is no dotted key")
    return tuple(parts)


def _quoted_key(key: str) -> str:
    return (
        key
        if re.fullmatch(r"[^.'\"=+~\s]+", key)
        else (f"'{key}'" if "'" not in key else f'"{key}"')
    )


def parse_value(text: str) -> Any:
    """Read a value: number, true/false/None, ``[…]``, ``(…)``, ``{k: v}``, quoted or bare text.

    A bare comma makes a list. Quotes keep a value a text, with all its spaces.

    >>> parse_value("1e-3"), parse_value("[1,(a,b)]"), parse_value("8,11"), parse_value("'1'")
    (0.001, [1, ('a', 'b')], [8, 11], '1')
    """
    stripped = text.strip()
    try:
        items, end = _Reader(stripped).items("")
        if end == len(stripped) and items:
            return items[0] if len(items) == 1 and not stripped.endswith(",") else items
    except ConfigError:
        if stripped[:1] in "[({'\"":
            raise
    return stripped


class _Reader:
    """A cursor over the text of one value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def items(self, closing: str) -> tuple[list[Any], int]:
        """Values separated by commas up to ``closing`` (or the end)."""
        result: list[Any] = []
        while True:
            self._skip()
            if self._ends(closing):
                return result, self.at
            result.append(self._value())
            self._skip()
            if self.at < len(self.text) and self.text[self.at] == ",":
                self.at += 1
            elif not self._ends(closing):
                raise self._fault(f"a comma or {closing}" if closing else "a comma")

    def _ends(self, closing: str) -> bool:
        return self.at >= len(self.text) if not closing else self.text.startswith(closing, self.at)

    def _value(self) -> Any:
        char = self.text[self.at]
        if char in "[(":
            return self._bracketed(char)
        if char == "{":
            return self._mapping()
        if char in "'\"":
            return self._quoted(char)
        match = _BARE.match(self.text, self.at)
        if match is None:
            raise self._fault("a value")
        self.at = match.end()
        return scalar(match[0])

    def _bracketed(self, char: str) -> Any:
        self.at += 1
        items, _ = self.items(_CLOSING[char])
        if self.at >= len(self.text):
            raise self._fault(_CLOSING[char])
        self.at += 1
        return items if char == "[" else tuple(items)

    def _mapping(self) -> dict[Any, Any]:
        self.at += 1
        result: dict[Any, Any] = {}
        while True:
            self._skip()
            if self.text.startswith("}", self.at):
                self.at += 1
                return result
            if self.at >= len(self.text):
                raise self._fault("}")
            key = self._value()
            self._skip()
            if self.text[self.at : self.at + 1] not in (":", "="):
                raise self._fault("a colon")
            self.at += 1
            self._skip()
            if self.at >= len(self.text) or isinstance(key, list | dict):
                raise self._fault("a value")
            result[key] = self._value()
            self._skip()
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("}", self.at):
                raise self._fault("a comma or }")

    def _quoted(self, quote: str) -> str:
        pieces: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == quote:
                return "".join(pieces)
            if char == "\\" and self.text[self.at : self.at + 1] in (quote, "\\"):
                char, self.at = self.text[self.at], self.at + 1
            pieces.append(char)
        raise self._fault(quote)

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _fault(self, wanted: str) -> ConfigError:
        return ConfigError(f"value {self.text!r}: wanted {wanted} at character {self.at + 1}")


def scalar(text: str) -> Any:
    """An int, a float, true/false in any case, None, or the text itself.

    ``none`` stays a text, as in ``launcher=none``; so does ``007``.

    >>> [scalar(t) for t in ("3", "-.5", "true", "None", "none", "007", "r50")]
    [3, -0.5, True, None, 'none', '007', 'r50']
    """
    if _INTEGER.fullmatch(text) and len(text) < 4000:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return None if text == "None" else _WORDS.get(text.lower(), text)


def print_value(value: Any) -> str:
    """The text that ``parse_value`` reads back as ``value``.

    >>> print_value([1, "a b", ("x,y", None)])
    "[1,a b,('x,y',None)]"
    """
    if isinstance(value, list | tuple):
        inner = ",".join(print_value(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, dict):
        return "{" + ",".join(f"{print_value(k)}:{print_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and isinstance(scalar(value), str) and value.isprintable()
        return value if bare else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return repr(value)


def apply_overrides(cfg: Any, overrides: Iterable[str], origin: Origin | None = None) -> Any:
    """``cfg`` (a Config or a ConfigDict) with each override applied in turn, as a new one.

    >>> cfg = ConfigDict(optimizer=dict(lr=0.1), steps=[8, 11])
    >>> apply_overrides(cfg, ["optimizer.lr=1e-3", "steps.1=12", "+seed=0"])
    {'optimizer': {'lr': 0.001}, 'steps': [8, 12], 'seed': 0}
    >>> apply_overrides(cfg, ["optimizer.lrr=1"])
    Traceback (most recent call last):
    ...
    loopwright.config.errors.ConfigError: no key 'optimizer.lrr'; did you mean 'optimizer.lr'? \
(to add a key say +optimizer.lrr=1) (command line)
    """
    if not isinstance(cfg, ConfigDict):
        return cfg.with_overrides(overrides)
    result = duplicate(cfg)
    for text in overrides:
        _apply(result, parse_override(text), origin or Origin(COMMAND_LINE))
    return result


def _apply(cfg: Any, override: Override, origin: Origin) -> None:
    owner = cfg
    for depth in range(len(override.path) - 1):
        owner = _step(owner, override, depth, origin)
    key = _key(owner, override, len(override.path) - 1, origin)
    if override.op == "~":
        del owner[key]
        return
    value = convert(override.value)
    mark_all(value, origin)
    if isinstance(owner, list):
        _set_item(owner, key, value)
        return
    before = dict.get(owner, key)
    place = origin.over(owner.origins_of().get(key), before)
    if isinstance(value, ConfigDict) and isinstance(before, ConfigDict):
        value = merge(ConfigDict(_=before), ConfigDict(_=value))["_"]
    dict.__setitem__(owner, key, value)
    owner.mark(key, place)


def _set_item(owner: list[Any], index: int, value: Any) -> None:
    if index == len(owner):
        owner.append(value)
    else:
        owner[index] = value


def _step(owner: Any, override: Override, depth: int, origin: Origin) -> Any:
    """The container one key deeper, made where ``+`` allows it."""
    key = _key(owner, override, depth, origin)
    if isinstance(owner, dict) and key not in owner:
        dict.__setitem__(owner, key, ConfigDict())
        owner.mark(key, origin)  # type: ignore[attr-defined]
    child = owner[key]
    if isinstance(child, tuple):
        child = owner[key] = list(child)
    if not isinstance(child, ConfigDict | list):
        name = ".".join(override.path[: depth + 1])
        raise ConfigError(f"{name} is {child!r:.60}, which has no keys", origin)
    return child


def _key(owner: Any, override: Override, depth: int, origin: Origin) -> Any:
    """The key (or list index) at ``depth``, checked against what is there."""
    part, path = override.path[depth], ".".join(override.path[: depth + 1])
    if isinstance(owner, list):
        end = len(owner) + (override.op == "+")
        if re.fullmatch(r"-?\d{1,9}", part) and -len(owner) <= int(part) < end:
            return int(part)
        raise ConfigError(f"no element {path!r}: the list has {len(owner)} elements", origin)
    if part in owner:
        return part
    if part.isdigit() and int(part) in owner:
        return int(part)
    if override.op == "+":
        return part
    prefix = "".join(f"{p}." for p in override.path[:depth])
    known = [f"{prefix}{key}" for key in owner]
    add = f" (to add a key say +{str(override).lstrip('+')})" if override.op == "" else ""
    raise ConfigError(f"no key {path!r}{nearest(path, known)}{add}", origin)


def mark_all(value: Any, origin: Origin) -> None:
    """Say of every key inside ``value`` that it was written at ``origin``."""
    if isinstance(value, ConfigDict):
        for key, child in value.items():
            value.mark(key, origin)
            mark_all(child, origin)
    elif isinstance(value, list | tuple):
        for child in value:
            mark_all(child, origin)


def nested(options: Mapping[str, Any]) -> ConfigDict:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``: how ``--cfg-options`` come in."""
    result = ConfigDict()
    for name, value in options.items():
        node = result
        *folders, last = split_path(str(name))
        for part in folders:
            node.setdefault(part, ConfigDict())
            node = node[part]
        node[last] = value
    return result

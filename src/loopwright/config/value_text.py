"""Values as a command line writes them: ``1e-3``, ``[1,(a,b)]``, ``{k: v}``, ``'a text'``."""

from __future__ import annotations

import math
import re
from typing import Any

from loopwright.config.errors import ConfigError
from loopwright.config.limits import Limits

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*(_\d+)*)")
_FLOAT = re.compile(r"[+-]?((\d+\.\d*|\.\d+)([eE][+-]?\d+)?|\d+[eE][+-]?\d+|inf|nan)")
_DEPTH = Limits().depth
_WORDS = {"true": True, "false": False}
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_BARE = re.compile(r"[^\s\[\](){},'\"=:]+([ \t]+[^\s\[\](){},'\"=:]+)*")


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
        self.depth = 0

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
        self.depth += 1
        if self.depth > _DEPTH:
            raise ConfigError("the value is nested too deeply")
        value = self._read()
        self.depth -= 1
        return value

    def _read(self) -> Any:
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

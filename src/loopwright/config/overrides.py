"""Overrides from a command line: ``a.b=1``, ``+a.new=2``, ``~a.gone``, and ``--cfg-options``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loopwright.config.errors import ConfigError
from loopwright.config.merge import merge
from loopwright.config.node import ConfigDict, convert, duplicate
from loopwright.config.paths import join_path, lacking, split_path
from loopwright.config.provenance import COMMAND_LINE, Origin
from loopwright.config.value_text import parse_value, print_value


@dataclass(frozen=True, slots=True)
class Override:
    """One change: ``op`` is ``""`` (set what exists), ``"+"`` (set or add) or ``"~"`` (delete)."""

    op: str
    path: tuple[str, ...]
    value: Any = None

    def __str__(self) -> str:
        value = "" if self.op == "~" else f"={print_value(self.value)}"
        return f"{self.op}{join_path(self.path)}{value}"


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
    if op == "~" and at >= 0:
        raise ConfigError(f"override {text!r}: ~key deletes and takes no value")
    if op != "~" and at < 0:
        raise ConfigError(f"override {text!r} is not key=value{_meant(body)}")
    key, value = (body, None) if at < 0 else (body[:at], body[at + 1 :])
    if value is not None and value.startswith("="):
        raise ConfigError(f"override {text!r}: one = sets a value; quote a text that begins with =")
    try:
        path = split_path(key)
        return Override(op, path, None if value is None else parse_value(value))
    except ConfigError as error:
        raise ConfigError(f"override {text!r}: {error}") from None


def _meant(body: str) -> str:
    """What a text without ``=`` was probably meant to be."""
    match = re.fullmatch(r"([\w.]+)\s*[:\s]\s*(\S+)", body)
    return f"; is '{match[1]}={match[2]}' meant?" if match else " (to delete a key say ~key)"


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
        change = _Change(parse_override(text), result, origin or Origin(COMMAND_LINE))
        change.within(result, 0, None)
    return result


@dataclass(frozen=True, slots=True)
class _Change:
    """An override on its way into ``root``, which is changed in place."""

    override: Override
    root: ConfigDict
    origin: Origin

    def within(self, owner: Any, depth: int, place: Origin | None) -> tuple[Any, Origin | None]:
        """``owner``, written at ``place``, with the change made below it; and its new place."""
        if isinstance(owner, ConfigDict):
            self._in_dict(owner, depth)
            return owner, place
        if isinstance(owner, list | tuple):
            return self._in_list(owner, depth, place)
        name = join_path(self.override.path[:depth])
        written = "" if place is None else f" ({place})"
        raise ConfigError(
            f"no key {join_path(self.override.path)!r}: {name} is {owner!r:.60}{written}, "
            f"which has no keys{self._as_dict(owner, depth)}",
            self.origin,
        )

    def _in_dict(self, owner: ConfigDict, depth: int) -> None:
        key, places = self._key(owner, depth), owner.origins_of()
        if self._last(depth) and self.override.op == "~":
            del owner[key]
            return
        value, place = self._changed(owner.get(key, _ABSENT), depth, places.get(key))
        dict.__setitem__(owner, key, value)
        owner.mark(key, place)

    def _in_list(self, owner: Any, depth: int, place: Origin | None) -> tuple[Any, Origin | None]:
        index, items = self._index(owner, depth), list(owner)
        places = [place and place.item(i, len(items)) for i in range(len(items))]
        if self._last(depth) and self.override.op == "~":
            del items[index], places[index]
        else:
            if index == len(items):
                items.append(_ABSENT)
                places.append(None)
            items[index], places[index] = self._changed(items[index], depth, places[index])
        return type(owner)(items), place and place.with_items(places)

    def _changed(self, old: Any, depth: int, place: Origin | None) -> tuple[Any, Origin | None]:
        """The new value under a key, and where it was written."""
        if not self._last(depth):
            missing = old is _ABSENT
            return self.within(
                ConfigDict() if missing else old, depth + 1, self.origin if missing else place
            )
        value = convert(duplicate(self.override.value))
        mark_all(value, self.origin)
        if isinstance(value, ConfigDict) and isinstance(old, ConfigDict):
            value = merge(ConfigDict(_=old), ConfigDict(_=value))["_"]
        return value, self.origin if old is _ABSENT else self.origin.over(place, old)

    def _last(self, depth: int) -> bool:
        return depth == len(self.override.path) - 1

    def _key(self, owner: ConfigDict, depth: int) -> Any:
        part = self.override.path[depth]
        if part in owner:
            return part
        if part.isdecimal() and int(part) in owner:
            return int(part)
        if self.override.op == "+":
            return part
        add = f" (to add a key say +{self.override})" if self.override.op == "" else ""
        raise ConfigError(lacking(self.root, self.override.path, depth) + add, self.origin)

    def _index(self, owner: Any, depth: int) -> int:
        """An index of a list; ``+`` may name the one behind its end."""
        part, length = self.override.path[depth], len(owner)
        end = length + (self.override.op == "+")
        if re.fullmatch(r"-?\d{1,9}", part) and -length <= int(part) < end:
            return int(part) if int(part) >= 0 else int(part) + length
        path = join_path(self.override.path[: depth + 1])
        whole = join_path(self.override.path[:depth])
        known = f", 0 to {length - 1}" if length else ""
        raise ConfigError(
            f"no element {path!r}: the list has {length} elements{known}"
            f"; to append one say +{whole}.{length}=…",
            self.origin,
        )

    def _as_dict(self, owner: Any, depth: int) -> str:
        """How to put a dict where nothing is."""
        rest = self.override.path[depth:]
        if owner is not None or self.override.op == "~" or len(rest) != 1:
            return ""
        name, value = join_path(self.override.path[:depth]), {rest[0]: self.override.value}
        return f"; for a dict say {name}={print_value(value)}"


_ABSENT: Any = object()


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

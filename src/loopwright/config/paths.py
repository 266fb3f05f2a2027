"""Dotted paths into a config: how they are written, and what is near one that leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from loopwright.config.errors import ConfigError, nearest
from loopwright.config.limits import Limits

_DEPTH = Limits().depth
_PART = re.compile(r"""('[^']*'|"[^"]*")|([^.'"]+)""")


def split_path(text: str) -> tuple[str, ...]:
    """The keys of a dotted path; a key that holds a dot stands in quotes.

    >>> split_path("custom_keys.'backbone.norm'.lr_mult")
    ('custom_keys', 'backbone.norm', 'lr_mult')
    """
    parts = [quoted[1:-1] if quoted else bare for quoted, bare in _PART.findall(text.strip())]
    printed = _PART.sub("x", text.strip())
    if not parts or printed != ".".join("x" * len(parts)):
        raise ConfigError(f"{text!r} is no dotted key")
    if len(parts) > _DEPTH:
        raise ConfigError(f"a key of {len(parts)} parts is nested too deeply")
    return tuple(parts)


def join_path(parts: Sequence[str]) -> str:
    """The text that ``split_path`` reads back as ``parts``.

    >>> join_path(["custom_keys", "backbone.norm", "lr_mult"])
    "custom_keys.'backbone.norm'.lr_mult"
    """
    return ".".join(map(_quoted, parts))


def _quoted(key: str) -> str:
    if re.fullmatch(r"[^.'\"=+~\s]+", key):
        return key
    return f"'{key}'" if "'" not in key else f'"{key}"'


def lacking(root: Any, parts: Sequence[str], depth: int) -> str:
    """Say that the key at ``depth`` is not there, and which path is most like the whole.

    >>> lacking({"optimizer": {"lr": 1}}, ["optimiser", "lr"], 0)
    "no key 'optimiser.lr': there is no 'optimiser'; did you mean 'optimizer.lr'?"
    >>> lacking({"optimizer": {"lr": 1}}, ["lr"], 0)
    "no key 'lr'; did you mean 'optimizer.lr'?"
    """
    whole, reached = join_path(parts), join_path(parts[: depth + 1])
    where = "" if whole == reached else f": there is no {reached!r}"
    owner = _at(root, parts[:depth])
    near = _near(root, owner, parts, depth) or _elsewhere(root, parts)
    if near:
        told = f"; did you mean {' or '.join(repr(join_path(path)) for path in near)}?"
    else:
        told = nearest("", owner if isinstance(owner, dict) else ())
    return f"no key {whole!r}{where}{told}"


def _near(root: Any, owner: Any, parts: Sequence[str], depth: int) -> list[list[str]]:
    """The path with a key of ``owner`` that is like the one at ``depth``, or begins the rest."""
    keys = {str(key): str(key) for key in owner} if isinstance(owner, dict) else {}
    for count in range(len(parts) - depth, 1, -1):
        if (key := ".".join(parts[depth : depth + count])) in keys:
            return [[*parts[:depth], key, *parts[depth + count :]]]
    close = get_close_matches(parts[depth], keys, n=1)
    close = close or get_close_matches(parts[depth].lower(), [k.lower() for k in keys], n=1)
    for key in keys:
        if close and key in (close[0], key if key.lower() == close[0] else ""):
            path = [*parts[:depth], key, *parts[depth + 1 :]]
            return [path] if _at(root, path, _NONE) is not _NONE else [path[: depth + 1]]
    return []


def _elsewhere(root: Any, parts: Sequence[str]) -> list[list[str]]:
    """Up to three paths that end as the one that was given."""
    end = list(parts)
    found = [path for path in _walk(root, []) if len(path) > len(end) and path[-len(end) :] == end]
    return sorted(found, key=len)[:3]


def _walk(value: Any, path: list[str]) -> Iterator[list[str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield [*path, str(key)]
            yield from _walk(child, [*path, str(key)])
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _walk(child, [*path, str(index)])


def _at(value: Any, parts: Sequence[str], default: Any = None) -> Any:
    """What stands at a path of keys and indices."""
    for part in parts:
        if isinstance(value, dict):
            key: Any = int(part) if part not in value and part.isdecimal() else part
            if key not in value:
                return default
            value = value[key]
        elif isinstance(value, list | tuple) and re.fullmatch(r"-?\d{1,9}", part):
            if not -len(value) <= int(part) < len(value):
                return default
            value = value[int(part)]
        else:
            return default
    return value


_NONE: Any = object()

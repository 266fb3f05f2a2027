"""The methods of lists, dicts, texts, tuples, sets and numbers that a config may call."""

from __future__ import annotations

import string
from typing import Any

from loopwright.config.errors import ConfigError
from loopwright.config.functions import listed, pay, with_key
from loopwright.config.limits import Fuel, names
from loopwright.config.operators import Bounded, formatted

_LIST = names("append extend insert remove pop index count copy reverse sort clear")
_DICT = names("""update pop get keys values items copy setdefault popitem clear merge to_dict""")
_STR = names(
    """capitalize casefold center count encode endswith expandtabs find format index isalnum
    isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace
    istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind
    rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title
    upper zfill"""
)
_SET = names("""add discard remove union intersection difference issubset issuperset copy update""")
_NUMBER = frozenset({"bit_length", "is_integer", "conjugate"})
_BY_TYPE: list[tuple[Any, frozenset[str]]] = [
    (list, _LIST),
    (dict, _DICT),
    (str, _STR),
    (tuple, frozenset({"index", "count"})),
    ((set, frozenset), _SET),
    ((int, float), _NUMBER),
]


def lookup(owner: Any, name: str) -> Bounded | None:
    """The bounded method ``name`` of a value, or ``None`` where it is not on the list."""
    for kind, allowed in _BY_TYPE:
        if isinstance(owner, kind):
            return (_SPECIAL.get((kind, name)) or _plain(name)) if name in allowed else None
    return None


def _plain(name: str) -> Bounded:
    def call(fuel: Fuel, owner: Any, *arguments: Any, **named: Any) -> Any:
        for value in (owner, *arguments) if name not in _CHEAP else arguments:
            pay(fuel, value)
        return getattr(owner, name)(*arguments, **with_key(fuel, named))

    return call


_CHEAP = frozenset({"append", "clear"})


def _shifting(name: str) -> Bounded:
    """A method of lists that moves the elements behind a place."""

    def call(fuel: Fuel, owner: list[Any], *arguments: Any) -> Any:
        if arguments or name == "reverse":
            fuel.moved(len(owner))
        return getattr(owner, name)(*arguments)

    return call


def _number(name: str) -> Bounded:
    return lambda fuel, owner: getattr(owner, name)()


def extend(fuel: Fuel, owner: list[Any], values: Any) -> None:
    """``owner.extend(values)``."""
    more = listed(fuel, values)
    fuel.sized(len(owner) + len(more))
    owner.extend(more)


def _pad(name: str) -> Bounded:
    def call(fuel: Fuel, owner: str, width: int, *fill: str) -> str:
        fuel.lettered(width)
        text: str = getattr(owner, name)(width, *fill)
        return text

    return call


def _split(name: str) -> Bounded:
    def call(fuel: Fuel, owner: str, *arguments: Any, **named: Any) -> list[str]:
        fuel.sized(len(owner))
        parts: list[str] = getattr(owner, name)(*arguments, **named)
        return parts

    return call


def _join(fuel: Fuel, owner: str, parts: Any) -> str:
    texts = listed(fuel, parts)
    fuel.lettered(sum(len(text) for text in texts) + len(owner) * len(texts))
    return owner.join(texts)


def _replace(fuel: Fuel, owner: str, old: str, new: str, count: int = -1) -> str:
    times = owner.count(old) if count < 0 else min(count, owner.count(old))
    fuel.lettered(len(owner) + times * len(new))
    return owner.replace(old, new, count)


def _from_the_end(name: str) -> Bounded:
    """A search from the end, or a stripping: Python takes the product of both lengths for it."""

    def call(fuel: Fuel, owner: str, *arguments: Any, **named: Any) -> Any:
        fuel.lettered(len(owner))
        for part in arguments[:1]:
            fuel.spend(len(owner) * len(part or "") >> 10)
        parts = getattr(owner, name)(*arguments, **named)
        if name == "rsplit":
            fuel.sized(len(parts))
        return parts

    return call


def _encode(fuel: Fuel, owner: str, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    """``str.encode`` to the plain encodings: others are slow, grow, or are imported."""
    fuel.lettered(len(owner))
    if encoding.lower().replace("_", "-") not in _ENCODINGS or errors not in _ERRORS:
        raise ConfigError(f"encode({encoding!r:.40}, {errors!r:.40}) is not supported")
    return owner.encode(encoding, errors)


_ENCODINGS = names("utf-8 utf8 ascii latin-1 utf-16 utf-32")
_ERRORS = names("strict ignore replace")


def _expandtabs(fuel: Fuel, owner: str, tabsize: int = 8) -> str:
    fuel.lettered(len(owner) + owner.count("\t") * tabsize)
    return owner.expandtabs(tabsize)


def _format(fuel: Fuel, owner: str, *arguments: Any, **named: Any) -> str:
    """``str.format`` with plain fields alone: no attribute, no index."""
    fuel.lettered(len(owner))
    pieces: list[str] = []
    position = length = 0
    for literal, field, spec, conversion in string.Formatter().parse(owner):
        pieces.append(literal)
        if field is None:
            continue
        if not (field == "" or field.isdigit() or field.isidentifier()) or "{" in (spec or ""):
            raise ConfigError(f"format field {{{field}}} must be a plain name or number")
        if field == "":
            field, position = str(position), position + 1
        value = arguments[int(field)] if field.isdigit() else named[field]
        pieces.append(formatted(fuel, value, spec or "", ord(conversion) if conversion else -1))
        length += len(literal) + len(pieces[-1])
        if length > fuel.limits.characters:
            break
    fuel.lettered(length)
    return "".join(pieces)


_REVERSE = ("rfind", "rindex", "rpartition", "rsplit", "strip", "lstrip", "rstrip")
_SPECIAL: dict[tuple[Any, str], Bounded] = {
    (list, "extend"): extend,
    **{(list, name): _shifting(name) for name in ("insert", "pop", "reverse")},
    (str, "join"): _join,
    (str, "replace"): _replace,
    (str, "encode"): _encode,
    (str, "expandtabs"): _expandtabs,
    (str, "format"): _format,
    **{(str, name): _pad(name) for name in ("center", "ljust", "rjust", "zfill")},
    **{(str, name): _split(name) for name in ("split", "splitlines")},
    **{(str, name): _from_the_end(name) for name in _REVERSE},
    **{((int, float), name): _number(name) for name in _NUMBER},
}

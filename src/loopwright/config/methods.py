"""The fixed list of functions, methods and operators a config may use, each bounded before it acts.

Every function here takes the fuel first. Nothing takes a callable, opens anything, or reads an
attribute of an object.
"""

from __future__ import annotations

import ast
import math
import operator
import posixpath
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loopwright.config.errors import ConfigError
from loopwright.config.limits import Fuel
from loopwright.config.node import ConfigDict, duplicate, make

if TYPE_CHECKING:
    from loopwright.config.evaluate import Evaluator

Bounded = Callable[..., Any]
_SIZED = (str, bytes, list, tuple, dict, set, frozenset, range)
_VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
TYPES = frozenset({"dict", "list", "tuple", "set", "int", "float", "str", "bool", "bytes"})
REFUSED = frozenset(
    {"eval", "exec", "open", "getattr", "setattr", "delattr", "vars", "globals", "locals", "type"}
    | {"compile", "input", "breakpoint", "help", "object", "super", "memoryview", "classmethod"}
    | {"map", "filter", "dir", "id", "iter", "next", "callable", "hasattr", "exit", "quit"}
)


def listed(fuel: Fuel, value: Any) -> list[Any]:
    """The elements of an iterable as a list."""
    if not isinstance(value, _SIZED):
        raise ConfigError(f"cannot loop over {type(value).__name__}")
    fuel.sized(len(value))
    return list(value)


def pairs(value: Any, fuel: Fuel) -> list[tuple[Any, Any]]:
    """What ``dict(value)`` takes apart from a dict: pairs."""
    result = []
    for pair in listed(fuel, value):
        key, item = listed(fuel, pair)
        fuel.weigh(key)
        result.append((key, item))
    return result


def _whole(fuel: Fuel, value: Any) -> None:
    """Pay for a function that reads ``value`` through, however deep it is."""
    if isinstance(value, range):
        fuel.sized(len(value))
    else:
        fuel.weigh(value)


def _reading(function: Callable[..., Any]) -> Bounded:
    """A function of values whose cost is that of reading them."""

    def call(fuel: Fuel, *arguments: Any, **named: Any) -> Any:
        if "key" in named and named["key"] is not None:
            raise ConfigError(f"{function.__name__} with a key function is not supported")
        for argument in (*arguments, *named.values()):
            _whole(fuel, argument)
        return function(*arguments, **named)

    return call


def _listing(function: Callable[..., Any]) -> Bounded:
    """A function that gives an iterator: here a list."""
    reading = _reading(lambda *a, **k: list(function(*a, **k)))
    return reading


def _text(fuel: Fuel, *value: Any) -> str:
    return formatted(fuel, value[0], "", -1) if value else ""


def _integer(fuel: Fuel, *value: Any, **named: Any) -> int:
    if value and isinstance(value[0], str):
        fuel.number(len(value[0]) * 4)
    return int(*value, **named)


def _power(fuel: Fuel, base: Any, exponent: Any, *modulus: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0 and not modulus:
        fuel.number(max(base.bit_length(), 1) * exponent if abs(base) > 1 else 1)
    return pow(base, exponent, *modulus)


def _range(fuel: Fuel, *bounds: int) -> range:
    return range(*bounds)


def _total(fuel: Fuel, values: Any, start: Any = 0) -> Any:
    result = start
    for value in listed(fuel, values):
        result = binary(fuel, ast.Add, result, value)
    return result


def _config_dict(fuel: Fuel, *value: Any, **named: Any) -> ConfigDict:
    for item in value:
        _whole(fuel, item)
    return ConfigDict(*value, **named)


FUNCTIONS: dict[str, Bounded] = {
    "abs": _reading(abs),
    "all": _reading(all),
    "any": _reading(any),
    "bool": _reading(bool),
    "dict": _config_dict,
    "divmod": _reading(divmod),
    "enumerate": _listing(enumerate),
    "float": _reading(float),
    "frozenset": _reading(frozenset),
    "int": _integer,
    "len": lambda fuel, value: len(value),
    "list": lambda fuel, *value: listed(fuel, *value) if value else [],
    "max": _reading(max),
    "min": _reading(min),
    "pow": _power,
    "range": _range,
    "repr": lambda fuel, value: formatted(fuel, value, "", ord("r")),
    "reversed": _listing(reversed),
    "round": _reading(round),
    "set": _reading(set),
    "slice": _reading(slice),
    "sorted": _reading(sorted),
    "str": _text,
    "sum": _total,
    "tuple": lambda fuel, *value: tuple(listed(fuel, *value)) if value else (),
    "zip": _listing(zip),
}

PURE: dict[str, Bounded] = {
    "copy.copy": lambda fuel, value: duplicate_of(fuel, value),
    "copy.deepcopy": lambda fuel, value: duplicate_of(fuel, value),
    "mmengine.Config": _config_dict,
    "mmengine.config.ConfigDict": _config_dict,
    "mmengine.ConfigDict": _config_dict,
    "math.factorial": lambda fuel, value: math.factorial(min(value, 300)),
    "os.path.basename": _reading(posixpath.basename),
    "os.path.dirname": _reading(posixpath.dirname),
    "os.path.join": _reading(posixpath.join),
    "os.path.normpath": _reading(posixpath.normpath),
    "os.path.split": _reading(posixpath.split),
    "os.path.splitext": _reading(posixpath.splitext),
}
PURE.update(
    {
        f"math.{name}": _reading(getattr(math, name))
        for name in "ceil floor sqrt log log2 log10 exp pow sin cos tan prod fabs trunc".split()
    }
)
CONSTANTS: dict[str, Any] = {"math.pi": math.pi, "math.e": math.e, "math.inf": math.inf}


def duplicate_of(fuel: Fuel, value: Any) -> Any:
    """``copy.deepcopy``; a shallow copy is given the same, which no config can tell apart."""
    fuel.weigh(value)
    return duplicate(value)


_LIST = frozenset("append extend insert remove pop index count copy reverse sort clear".split())
_DICT = frozenset(
    "update pop get keys values items copy setdefault popitem clear merge to_dict".split()
)
_STR = frozenset(
    """capitalize casefold center count encode endswith expandtabs find format index isalnum isalpha
    isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join
    ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition
    rsplit rstrip split splitlines startswith strip swapcase title upper zfill""".split()
)
_SET = frozenset(
    "add discard remove union intersection difference issubset issuperset copy update".split()
)
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
    for kind, names in _BY_TYPE:
        if isinstance(owner, kind):
            if name not in names:
                return None
            special = _SPECIAL.get((str if kind is str else kind, name))
            return special or _plain_method(name)
    return None


def _plain_method(name: str) -> Bounded:
    def call(fuel: Fuel, owner: Any, *arguments: Any, **named: Any) -> Any:
        if "key" in named:
            raise ConfigError(f"{name} with a key function is not supported")
        _whole(fuel, owner if name in ("index", "count", "remove", "sort") else len(owner))
        for argument in arguments:
            _whole(fuel, argument)
        return getattr(owner, name)(*arguments, **named)

    return call


def _number_method(name: str) -> Bounded:
    return lambda fuel, owner: getattr(owner, name)()


def _extend(fuel: Fuel, owner: list[Any], values: Any) -> None:
    more = listed(fuel, values)
    fuel.sized(len(owner) + len(more))
    owner.extend(more)


def _pad(name: str) -> Bounded:
    def call(fuel: Fuel, owner: str, width: int, *fill: str) -> str:
        fuel.lettered(width)
        return getattr(owner, name)(width, *fill)

    return call


def _join(fuel: Fuel, owner: str, parts: Any) -> str:
    texts = listed(fuel, parts)
    fuel.lettered(sum(len(text) for text in texts) + len(owner) * len(texts))
    return owner.join(texts)


def _replace(fuel: Fuel, owner: str, old: str, new: str, count: int = -1) -> str:
    times = owner.count(old) if count < 0 else count
    fuel.lettered(len(owner) + times * len(new))
    return owner.replace(old, new, count)


def _expandtabs(fuel: Fuel, owner: str, tabsize: int = 8) -> str:
    fuel.lettered(len(owner) + owner.count("\t") * tabsize)
    return owner.expandtabs(tabsize)


def _format(fuel: Fuel, owner: str, *arguments: Any, **named: Any) -> str:
    """``str.format`` with plain fields alone: no attribute, no index."""
    pieces: list[str] = []
    position = 0
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
        fuel.lettered(sum(map(len, pieces)))
    return "".join(pieces)


_SPECIAL: dict[tuple[Any, str], Bounded] = {
    (list, "extend"): _extend,
    (str, "join"): _join,
    (str, "replace"): _replace,
    (str, "expandtabs"): _expandtabs,
    (str, "format"): _format,
    **{(str, name): _pad(name) for name in ("center", "ljust", "rjust", "zfill")},
    **{((int, float), name): _number_method(name) for name in _NUMBER},
}


def call_dict(
    reader: Evaluator, node: ast.Call, owner: ConfigDict, name: str, args: list[Any], named: Any
) -> Any:
    """A method of a dict; inherited dicts behave as ConfigDicts, fresh ones as Python's."""
    from loopwright.config.evaluate import Fresh, adopt

    fuel = reader.fuel
    if name in ("keys", "values", "items"):
        fuel.sized(len(owner))
        return list(getattr(dict, name)(owner))
    if name in ("copy", "to_dict"):
        return duplicate_of(fuel, owner) if name == "to_dict" else owner.copy()
    if name == "update":
        return _update(reader, node, owner, args, named, deep=not isinstance(owner, Fresh))
    if name == "merge":
        return owner.merge(*map(adopt, args))
    if name == "pop" and len(args) == 1 and not isinstance(owner, Fresh):
        return owner.pop(args[0], None)
    if name == "get":
        return dict.get(owner, *args)
    for argument in args[:1]:
        fuel.weigh(argument)
    if name == "setdefault" and not isinstance(owner, Fresh):
        args = [args[0], *map(adopt, args[1:])]
    result = getattr(owner, name)(*args, **named)
    if name == "setdefault" and args:
        owner.mark(args[0], reader.origin(node))
    return result


def _update(
    reader: Evaluator, node: ast.Call, owner: ConfigDict, args: list[Any], named: Any, *, deep: bool
) -> None:
    """``owner.update``: the places are those of the given dicts, or of the call's keywords."""
    from loopwright.config.evaluate import adopt

    places = {kw.arg: reader.origin(kw, kw.value) for kw in node.keywords if kw.arg}
    for source in [*args, named]:
        given = source if isinstance(source, dict) else dict(pairs(source, reader.fuel))
        reader.fuel.weigh(given)
        known = given.origins_of() if isinstance(given, ConfigDict) else places
        if deep:
            part = {key: adopt(value) for key, value in given.items()}
            owner.update(make(part, {key: known[key] for key in part if key in known}))
            continue
        for key, value in given.items():
            before = owner.origins_of().get(key), owner.get(key)
            dict.__setitem__(owner, key, value)
            place = known.get(key) or reader.origin(node)
            owner.mark(key, place.over(*before))


def formatted(fuel: Fuel, value: Any, spec: str, conversion: int) -> str:
    """``format(value, spec)`` after ``!r``/``!s``, bounded before it is made."""
    for number in "".join(c if c.isdigit() else " " for c in spec).split():
        fuel.lettered(int(number[:9]))
        if len(number) > 4:
            raise ConfigError(f"format width {number[:9]} is too large")
    fuel.lettered(fuel.weigh(value) * 8)
    if conversion in (ord("r"), ord("a")):
        value = repr(value) if conversion == ord("r") else ascii(value)
    elif conversion == ord("s") or isinstance(value, dict | list | tuple | set):
        value = str(value)
    return format(value, spec)


def _multiply(fuel: Fuel, left: Any, right: Any) -> Any:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, int) and isinstance(one, str | bytes):
            fuel.lettered(len(one) * max(other, 0))
        elif isinstance(other, int) and isinstance(one, list | tuple):
            fuel.sized(len(one) * max(other, 0))
    if isinstance(left, int) and isinstance(right, int):
        fuel.number(left.bit_length() + right.bit_length())
    return left * right


def _add(fuel: Fuel, left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes) and isinstance(right, str | bytes):
        fuel.lettered(len(left) + len(right))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        fuel.sized(len(left) + len(right))
    return left + right


def _shift(fuel: Fuel, left: Any, right: Any) -> Any:
    fuel.number(left.bit_length() + right)
    return left << right


def _percent(fuel: Fuel, left: Any, right: Any) -> Any:
    if not isinstance(left, str):
        return left % right
    digits = "".join(c if c.isdigit() else " " for c in left).split()
    if any(len(number) > 4 for number in digits) or "*" in left:
        raise ConfigError("a width of more than four digits in a % format")
    fuel.lettered(len(left) + fuel.weigh(right) * 8)
    return left % right


_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
_BOUNDED: dict[type, Bounded] = {
    ast.Add: _add,
    ast.Mult: _multiply,
    ast.Mod: _percent,
    ast.Pow: _power,
    ast.LShift: _shift,
}


def binary(fuel: Fuel, op: type, left: Any, right: Any) -> Any:
    """``left op right``."""
    bounded = _BOUNDED.get(op)
    if bounded is not None:
        return bounded(fuel, left, right)
    plain = _BINARY.get(op)
    if plain is None:
        raise ConfigError(f"operator {op.__name__} is not supported")
    return plain(left, right)

"""The fixed list of functions a config may call; each takes the fuel first and pays for its work.

Nothing here takes a callable, opens anything, or reads an attribute of an object (``getattr``
reads the keys of an inherited dict, and ``hasattr`` asks the types of data alone).
"""

from __future__ import annotations

import ast
import itertools
import math
import os
import posixpath
from collections.abc import Callable, Iterable
from typing import Any

from loopwright.config import defined
from loopwright.config.deferred import Deferred
from loopwright.config.errors import ConfigError, brief, nearest
from loopwright.config.fresh import Defined, Fresh
from loopwright.config.limits import Fuel, names
from loopwright.config.node import ConfigDict, duplicate, make
from loopwright.config.operators import Bounded, binary, formatted, power

_SIZED = (str, bytes, list, tuple, dict, set, frozenset, range)
REFUSED = names(
    """eval exec open setattr delattr vars globals locals type compile input breakpoint
    help object super memoryview classmethod staticmethod property dir id iter next
    callable exit quit issubclass hash bin hex oct ascii bytearray
    __import__ __builtins__ __loader__ __spec__"""
)


def iterable(value: Any) -> Iterable[Any]:
    """``value``, which must be one that can be gone through."""
    if not isinstance(value, _SIZED):
        raise ConfigError(f"cannot loop over {type(value).__name__}")
    return value


def listed(fuel: Fuel, value: Any) -> list[Any]:
    """The elements of an iterable as a list."""
    iterable(value)
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


def pay(fuel: Fuel, value: Any) -> None:
    """Pay for reading ``value`` through, however deep it is."""
    if isinstance(value, range):
        fuel.sized(len(value))
    elif isinstance(value, str | bytes):
        fuel.lettered(len(value))
    else:
        fuel.weigh(value)


def reading(function: Callable[..., Any]) -> Bounded:
    """A function of values whose cost is that of reading them."""

    def call(fuel: Fuel, *arguments: Any, **named: Any) -> Any:
        for argument in (*arguments, *named.values()):
            pay(fuel, argument)
        return function(*arguments, **with_key(fuel, named))

    return call


def with_key(fuel: Fuel, named: dict[str, Any]) -> dict[str, Any]:
    """Named arguments with ``key=len`` made something that can be called."""
    if named.get("key") is None:
        return named
    return {**named, "key": callback(fuel, named["key"])}


def callback(fuel: Fuel, value: Any) -> Callable[..., Any]:
    """The listed function, or the config's own, that a name stands for; nothing else is called."""
    if isinstance(value, Defined):
        return lambda *arguments: defined.call(value, list(arguments), {})
    name = value.name if isinstance(value, Deferred) and value.module == "builtins" else ""
    function = FUNCTIONS.get(name)
    if function is None:
        raise ConfigError(f"only a listed function can be called back, not {brief(value)}")

    def call(*arguments: Any) -> Any:
        fuel.spend(1)
        return function(fuel, *arguments)

    return call


def _map(fuel: Fuel, function: Any, *sources: Any) -> list[Any]:
    return list(map(callback(fuel, function), *[listed(fuel, source) for source in sources]))


def _filter(fuel: Fuel, function: Any, source: Any) -> list[Any]:
    test = None if function is None else callback(fuel, function)
    return list(filter(test, listed(fuel, source)))


def _listing(function: Callable[..., Any]) -> Bounded:
    """A function that gives an iterator: here a list."""
    return reading(lambda *arguments, **named: list(function(*arguments, **named)))


def _text(fuel: Fuel, *value: Any) -> str:
    return formatted(fuel, value[0], "", -1) if value else ""


def _integer(fuel: Fuel, *value: Any, **named: Any) -> int:
    if value and isinstance(value[0], str):
        fuel.number(len(value[0]) * 4)
    return int(*value, **named)


def _round(fuel: Fuel, number: Any, digits: int | None = None) -> Any:
    fuel.weigh(number)
    if digits is not None and abs(digits) > fuel.limits.bits:
        raise ConfigError(f"round() to {digits} digits")
    return round(number, digits)


def _folded(fuel: Fuel, op: type, values: Any, start: Any) -> Any:
    """``sum`` and ``math.prod``."""
    result = start
    for value in listed(fuel, values):
        result = binary(fuel, op, result, value)
    return result


def _config_dict(fuel: Fuel, *value: Any, **named: Any) -> ConfigDict:
    for item in (*value, *named.values()):
        pay(fuel, item)
    return ConfigDict(*value, **named)


def _duplicate(fuel: Fuel, value: Any) -> Any:
    """``copy.deepcopy``."""
    fuel.weigh(value)
    return duplicate(value)


def _shallow(fuel: Fuel, value: Any) -> Any:
    """``copy.copy``."""
    if isinstance(value, list | dict | set):
        fuel.weigh(value)
        return value.copy()
    return value


def _is_instance(fuel: Fuel, value: Any, kinds: Any) -> bool:
    """``isinstance`` of the types of data, which stand in a config as names."""
    found = []
    pay(fuel, kinds)
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        name = kind.name if isinstance(kind, Deferred) and kind.module == "builtins" else ""
        if name not in _TYPES:
            raise ConfigError(f"isinstance knows the types of data alone, not {brief(kind)}")
        found.append(_TYPES[name])
    return isinstance(value, tuple(found))


_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (bool, bytes, complex, dict, float, frozenset, int, list, range, set, str, tuple)
}


def _has(fuel: Fuel, owner: Any, name: Any) -> bool:
    """``hasattr`` of data: the keys of inherited dicts are attributes, those of fresh ones not."""
    pay(fuel, name)
    _check_attribute(owner, name)
    if isinstance(owner, Deferred):
        raise ConfigError(f"what {owner.dotted} has is not known before it is imported")
    if isinstance(owner, ConfigDict):
        inherited = not isinstance(owner, Fresh)
        return hasattr(dict, name) or (inherited and (name in owner or name in _OWN_METHODS))
    return hasattr(owner, name)


def _get(fuel: Fuel, owner: Any, name: Any, *default: Any) -> Any:
    """``getattr``: a key of an inherited dict or a part of an imported name; never a method."""
    pay(fuel, name)
    _check_attribute(owner, name)
    if isinstance(owner, Deferred) and not default:
        child = owner.child(name)
        return CONSTANTS.get(child.dotted, child)
    if _has(fuel, owner, name):
        if not isinstance(owner, ConfigDict) or hasattr(dict, name) or name not in owner:
            raise ConfigError(f"getattr() gives keys, not the method {name!r}")
        return dict.__getitem__(owner, name)
    if not default:
        near = nearest(name, owner) if isinstance(owner, ConfigDict) else ""
        raise ConfigError(f"{type(owner).__name__} has no attribute {name!r}{near}")
    return default[0]


def _check_attribute(owner: Any, name: Any) -> None:
    if not isinstance(name, str) or name.startswith("__") or not name.isidentifier():
        raise ConfigError(f"{brief(name)} is no attribute that a config may ask for")
    if not isinstance(owner, (Deferred, *_DATA)):
        raise ConfigError(f"a {type(owner).__name__} has no attribute that a config may ask for")


_DATA = (*_SIZED, bool, int, float, complex, type(None))
_OWN_METHODS = frozenset({"merge", "to_dict"})


def _product(fuel: Fuel, *sources: Any, repeat: int = 1) -> list[Any]:
    """``itertools.product``."""
    parts = [listed(fuel, source) for source in sources] * min(repeat, 64)
    fuel.sized(math.prod(map(len, parts)) * max(len(parts), 1))
    return list(itertools.product(*parts))


FUNCTIONS: dict[str, Bounded] = {
    "abs": reading(abs),
    "all": reading(all),
    "any": reading(any),
    "bool": reading(bool),
    "bytes": lambda fuel, *value: b"" if not value else bytes(listed(fuel, *value)),
    "chr": lambda fuel, code: chr(code),
    "complex": reading(complex),
    "dict": lambda fuel, *value, **named: make(_config_dict(fuel, *value, **named), {}, Fresh),
    "divmod": reading(divmod),
    "enumerate": _listing(enumerate),
    "filter": _filter,
    "float": reading(float),
    "format": lambda fuel, value, spec="": formatted(fuel, value, spec, -1),
    "frozenset": reading(frozenset),
    "getattr": _get,
    "hasattr": _has,
    "int": _integer,
    "isinstance": _is_instance,
    "len": lambda fuel, value: len(value),
    "list": lambda fuel, *value: listed(fuel, *value) if value else [],
    "map": _map,
    "max": reading(max),
    "min": reading(min),
    "ord": lambda fuel, letter: ord(letter),
    "pow": power,
    "print": lambda fuel, *values, **named: None,
    "range": lambda fuel, *bounds: range(*bounds),
    "repr": lambda fuel, value: formatted(fuel, value, "", ord("r")),
    "reversed": _listing(reversed),
    "round": _round,
    "set": reading(set),
    "slice": reading(slice),
    "sorted": reading(sorted),
    "str": _text,
    "sum": lambda fuel, values, start=0: _folded(fuel, ast.Add, values, start),
    "tuple": lambda fuel, *value: tuple(listed(fuel, *value)) if value else (),
    "zip": _listing(zip),
}

_PATHS = ("basename", "dirname", "join", "normpath", "split", "splitext")
_MATHS = names("ceil floor sqrt log log2 log10 exp sin cos tan fabs trunc gcd isclose")
PURE: dict[str, Bounded] = {
    "builtins.dict.fromkeys": lambda fuel, keys, value=None: make(
        dict.fromkeys(reading(list)(fuel, keys), value), {}, Fresh
    ),
    "collections.OrderedDict": lambda fuel, *value, **named: FUNCTIONS["dict"](
        fuel, *value, **named
    ),
    "itertools.chain": lambda fuel, *sources: [
        item for source in sources for item in listed(fuel, source)
    ],
    "itertools.product": _product,
    "os.getcwd": lambda fuel: os.getcwd(),
    "os.path.abspath": reading(lambda path: posixpath.normpath(posixpath.join(os.getcwd(), path))),
    "copy.copy": _shallow,
    "copy.deepcopy": _duplicate,
    "mmengine.ConfigDict": _config_dict,
    "mmengine.config.ConfigDict": _config_dict,
    "math.prod": lambda fuel, values, start=1: _folded(fuel, ast.Mult, values, start),
    "math.pow": lambda fuel, base, exponent: math.pow(base, exponent),
    **{f"os.path.{name}": reading(getattr(posixpath, name)) for name in _PATHS},
    **{f"math.{name}": reading(getattr(math, name)) for name in _MATHS},
}
CONSTANTS: dict[str, Any] = {
    "math.pi": math.pi,
    "math.e": math.e,
    "math.inf": math.inf,
    "math.nan": math.nan,
    "numpy.pi": math.pi,
    "numpy.e": math.e,
    "numpy.inf": math.inf,
    "numpy.nan": math.nan,
    "typing.TYPE_CHECKING": False,
    "os.sep": "/",
    "os.path.sep": "/",
}

"""Reading a lazy config's Python file without running it: ``LazyCall(f)(x=1)`` becomes data."""

from __future__ import annotations

import ast
import os
from typing import Any

from loopwright.config import ConfigDict, ConfigError, Origin, trusted
from loopwright.config.deferred import Deferred
from loopwright.config.errors import TRUST_HINT
from loopwright.config.limits import Fuel
from loopwright.config.node import make
from loopwright.config.source import read_text
from loopwright.config.statements import Interpreter, parse

LAZY_CALL = "LazyCall"
CONTAINERS = frozenset(
    f"omegaconf.{name}"
    for name in ("OmegaConf.create", "DictConfig", "dictconfig.DictConfig", "ListConfig")
)
LAZY_TRUST_HINT = (
    "outside what the safe reader evaluates; if you trust this file, "
    "LazyConfig.load(…, trust=True) runs it as Python"
)


def read(filename: str, *, trust: bool = False) -> ConfigDict:
    """Every name that a file defines, those of its relative imports included.

    ``trust`` runs the file as Python; its relative imports are still read as data.

    Raises ConfigError, with file and line.
    """
    return _read(os.path.abspath(filename), Fuel(), (), trust)


def _read(path: str, fuel: Fuel, chain: tuple[str, ...], trust: bool) -> ConfigDict:
    fuel.files -= 1
    if fuel.files < 0 or len(chain) > fuel.limits.base_depth:
        raise ConfigError(f"too many files are imported by {chain[0] if chain else path}")
    if path in chain:
        raise ConfigError(f"relative imports go in a circle: {' → '.join((*chain, path))}")
    reader = LazyReader(path, fuel)
    text = read_text(path, fuel.limits, None)
    fuel.spend(len(text) >> 6)
    tree = parse(text, path)
    rest: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.level:
            _run(reader, rest, path, trust)
            rest = []
            _import(reader, statement, path, fuel, (*chain, path), trust)
        else:
            rest.append(statement)
    _run(reader, rest, path, trust)
    kept = {k: v for k, v in reader.names.items() if k not in reader.imported}
    origins = {k: o for k, o in reader.names.origins_of().items() if k in kept}
    fuel.weigh(kept)
    settled: ConfigDict = _settled(make(kept, origins), {})
    return settled


def _run(reader: LazyReader, statements: list[ast.stmt], path: str, trust: bool) -> None:
    if trust:
        trusted.run(statements, path, reader)
    else:
        reader.run(statements)


def _import(
    reader: LazyReader,
    node: ast.ImportFrom,
    path: str,
    fuel: Fuel,
    chain: tuple[str, ...],
    trust: bool,
) -> None:
    """One ``from .other import name``: the names of another file, read anew."""
    place = Origin(path, node.lineno)
    folder = path
    for _ in range(node.level):
        folder = os.path.dirname(folder)
    if node.module is None:
        raise ConfigError("`from . import x` names a folder: write `from .x import name`", place)
    file = os.path.join(folder, *node.module.split(".")) + ".py"
    if not os.path.isfile(file):
        raise ConfigError(f"the relative import names {file}, which is not there", place)
    values = _read(file, fuel, chain, trust)
    for alias in node.names:
        wanted = list(values) if alias.name == "*" else [alias.name]
        for name in wanted:
            if name not in values:
                raise ConfigError(f"{file} defines no {name!r}", place)
            bound = name if alias.name == "*" else alias.asname or name
            dict.__setitem__(reader.names, bound, dict.__getitem__(values, name))
            reader.names.mark(bound, values.origins_of().get(name, place))


class LazyReader(Interpreter):
    """The config reader with two calls more: ``LazyCall(target)(name=value, …)`` becomes a node,
    and what OmegaConf makes of a dict or a list is that dict or list.
    """

    def value(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.Call):
            return super().value(node)
        maker = node.func
        if isinstance(maker, ast.Call):
            if self._is_lazy(maker) and len(maker.args) == 1 and not maker.keywords:
                return self._lazy(node, super().value(maker.args[0]))
        elif self._named(maker) in CONTAINERS:
            return self.value(node.args[0]) if node.args else make({}, {})
        return super().value(node)

    def refuse(self, node: ast.AST, what: str = "") -> ConfigError:
        """As the reader's, with the way that a lazy config has to be trusted."""
        fault = super().refuse(node, what)
        return ConfigError(fault.message.replace(TRUST_HINT, LAZY_TRUST_HINT), fault.origin)

    def _named(self, func: ast.expr) -> str:
        """The dotted name of an imported function; empty for anything else."""
        owner = func.value if isinstance(func, ast.Attribute) else func
        known = self.names.get(owner.id) if isinstance(owner, ast.Name) else None
        if not isinstance(known, Deferred):
            return ""
        return f"{known.dotted}.{func.attr}" if isinstance(func, ast.Attribute) else known.dotted

    def _is_lazy(self, maker: ast.Call) -> bool:
        return self._named(maker.func).rpartition(".")[2] == LAZY_CALL

    def _lazy(self, node: ast.Call, target: Any) -> ConfigDict:
        if node.args:
            raise ConfigError("LazyCall takes keyword arguments only", self.origin(node))
        if isinstance(target, Deferred):
            target = target.dotted
        items: dict[Any, Any] = {"_target_": target}
        origins = {"_target_": self.origin(node)}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg is None:
                items.update(value)
            else:
                items[keyword.arg] = value
                origins[keyword.arg] = self.origin(keyword, keyword.value)
        made: ConfigDict = make(items, origins)
        return made


def _settled(value: Any, seen: dict[int, Any]) -> Any:
    """Every dict a ConfigDict; one that is used twice stays one."""
    if isinstance(value, dict):
        known = seen.get(id(value))
        if known is not None:
            return known
        origins = dict(value.origins_of()) if isinstance(value, ConfigDict) else {}
        fresh: ConfigDict = make({}, origins)
        seen[id(value)] = fresh
        for key, child in value.items():
            dict.__setitem__(fresh, key, _settled(child, seen))
        return fresh
    if isinstance(value, list | tuple):
        return type(value)(_settled(child, seen) for child in value)
    return value

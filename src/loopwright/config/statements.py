"""Statements of a config file, interpreted: assignments, ``if``, ``for``, imports as names."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import Any

from loopwright.config import calls, comprehend, elements, functions, methods, operators
from loopwright.config.deferred import Deferred
from loopwright.config.defined import UNBOUND, define
from loopwright.config.errors import ConfigError, MissingKey
from loopwright.config.evaluate import Evaluator
from loopwright.config.fresh import Fresh, adopt
from loopwright.config.limits import Fuel
from loopwright.config.node import ConfigDict
from loopwright.config.provenance import Origin

_FAULTS = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
)


class Interpreter(Evaluator):
    """Runs the statements of one file into ``names``.

    ``imported`` holds the names that imports bound, ``locals`` those that each function binds.
    """

    def __init__(self, file: str, fuel: Fuel, names: ConfigDict | None = None) -> None:
        super().__init__(file, fuel, names)
        self.imported: set[str] = set()
        self.returned: Any = None
        self.locals: dict[ast.FunctionDef, frozenset[str]] = {}

    def inherit(self, node: ast.ImportFrom) -> None:
        """Told each import of a ``with read_base():`` block; only a whole file has those."""
        raise self.refuse(node, "inheriting here")

    def run(self, statements: list[ast.stmt]) -> None:
        """Interpret a module body; every fault becomes a ConfigError with file and line."""
        try:
            signal = self.block(statements)
            if signal:
                raise ConfigError(f"{signal!r} outside a loop or function")
        except RecursionError:
            raise ConfigError("the config is nested too deeply", self._here()) from None
        except ConfigError as fault:
            if fault.origin is not None:
                raise
            raise ConfigError(fault.message, self._here()) from None
        except _FAULTS as fault:
            kind = "" if isinstance(fault, MissingKey) else f"{type(fault).__name__}: "
            raise ConfigError(f"{kind}{fault}", self._here()) from fault

    def _here(self) -> Origin | None:
        return None if self.at is None else self.origin(self.at)

    def block(self, statements: list[ast.stmt]) -> str:
        for statement in statements:
            self.fuel.spend(1)
            handler = _STATEMENTS.get(statement.__class__)
            self.at = statement
            if handler is None:
                raise self.refuse(statement, f"{type(statement).__name__} statement")
            signal = handler(self, statement)
            if signal:
                return signal
        return ""

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.store(target, value, node.value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.store(node.target, self.value(node.value), node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        old, more, op = self.value(node.target), self.value(node.value), node.op.__class__
        result = old
        keep = None
        if isinstance(old, list) and op is ast.Add:
            keep = elements.by_addition(self, node, old)
            methods.extend(self.fuel, old, more)
        elif isinstance(old, list) and op is ast.Mult:
            old[:] = operators.binary(self.fuel, op, old, more)
        elif isinstance(old, ConfigDict) and op is ast.BitOr:
            calls.update(self, node, old, [more], {})
        else:
            result = operators.binary(self.fuel, op, old, more)
        self.store(node.target, result, node.value)
        if keep is not None:
            keep()

    def store(self, target: ast.expr, value: Any, node: ast.expr) -> None:
        """Bind a target: a name, ``a.b``, ``a['b']``, ``a[0]`` or a tuple of these."""
        if isinstance(target, ast.Name):
            if self.frame is None:
                self.imported.discard(target.id)
            self.bind(target.id, value, self.origin(target, node))
        elif isinstance(target, ast.Tuple | ast.List):
            comprehend.unpack(self, target, value, lambda part, item: self.store(part, item, part))
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value)
            if not isinstance(owner, ConfigDict) or target.attr.startswith("__"):
                raise self.refuse(target, f"setting an attribute of {type(owner).__name__}")
            self._set_key(owner, target.attr, value, self.origin(target, node))
        elif isinstance(target, ast.Subscript):
            self._store_item(target, value, node)
        else:
            raise self.refuse(target, "this assignment")

    def _store_item(self, target: ast.Subscript, value: Any, node: ast.expr) -> None:
        owner, key = self.value(target.value), self.value(target.slice)
        self.fuel.weigh(key)
        if isinstance(owner, ConfigDict):
            if owner is self.names:
                self.imported.discard(key)
            self._set_key(owner, key, value, self.origin(target, node))
        elif isinstance(owner, list):
            if isinstance(key, slice):
                value = functions.listed(self.fuel, value)
                self.fuel.moved(len(owner))
                self.fuel.sized(len(owner) + len(value))
            keep = elements.by_assignment(
                self, target, owner, key, value, self.origin(target, node)
            )
            owner[key] = value
            keep()
        else:
            raise self.refuse(target, f"setting an element of {type(owner).__name__}")

    def _set_key(self, owner: ConfigDict, key: Any, value: Any, origin: Origin) -> None:
        if owner.__class__ is not Fresh:
            self.fuel.weigh(value)
            value = adopt(value)
        before = owner.origins_of().get(key)
        if before is not None:
            origin = origin.put_over(before, dict.get(owner, key), value)
        dict.__setitem__(owner, key, value)
        owner.mark(key, origin)

    def _expression(self, node: ast.Expr) -> None:
        self.value(node.value)

    def _if_statement(self, node: ast.If) -> str:
        return self.block(node.body if self.value(node.test) else node.orelse)

    def _for(self, node: ast.For) -> str:
        for item in comprehend.iterate(self, node.iter):
            self.fuel.spend(1)
            self.store(node.target, item, node.iter)
            signal = self.block(node.body)
            if signal in _LEAVES:
                return _LEAVES[signal]
        return self.block(node.orelse)

    def _while(self, node: ast.While) -> str:
        while self.value(node.test):
            self.fuel.spend(1)
            signal = self.block(node.body)
            if signal in _LEAVES:
                return _LEAVES[signal]
        return self.block(node.orelse)

    def _return(self, node: ast.Return) -> str:
        if self.frame is None:
            raise ConfigError("'return' outside a function", self.origin(node))
        self.returned = None if node.value is None else self.value(node.value)
        return "return"

    def _try(self, node: ast.Try) -> str:
        """Imports never fail here, so what is tried is taken; mistakes of its own are caught."""
        try:
            signal = self.block(node.body) or self.block(node.orelse)
        except ConfigError:
            raise
        except _FAULTS as fault:
            handler = next((h for h in node.handlers if _catches(h, fault)), None)
            if handler is None:
                raise
            if handler.name:
                self.bind(handler.name, str(fault), self.origin(handler))
            signal = self.block(handler.body)
            if handler.name:
                self.unbind(handler.name)
        return self.block(node.finalbody) or signal

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.value(target)
                self.unbind(target.id)
            elif isinstance(target, ast.Subscript):
                owner, key = self.value(target.value), self.value(target.slice)
                self.fuel.weigh(key)
                if not isinstance(owner, dict | list):
                    raise self.refuse(target, "this deletion")
                keep = None
                if isinstance(owner, list):
                    self.fuel.moved(len(owner))
                    keep = elements.by_deletion(self, target, owner, key)
                del owner[key]
                if keep is not None:
                    keep()
            elif isinstance(target, ast.Attribute):
                owner = self.value(target.value)
                if not isinstance(owner, ConfigDict):
                    raise self.refuse(target, "this deletion")
                del owner[target.attr]
            else:
                raise self.refuse(target, "this deletion")

    def unbind(self, name: str) -> None:
        """Forget a variable."""
        if self.frame is None:
            self.names.pop(name, None)
        else:
            self.frame[name] = UNBOUND

    def _assert(self, node: ast.Assert) -> None:
        if not self.value(node.test):
            said = "" if node.msg is None else self.value(node.msg)
            text = said and f": {operators.formatted(self.fuel, said, '', -1)}"
            raise ConfigError(f"the config's own assertion fails{text}", self.origin(node))

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._bind_import(name, Deferred(alias.name if alias.asname else name), node)

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None:
            raise ConfigError(
                "a relative import names another config: put it under `with read_base():`",
                self.origin(node),
            )
        for alias in node.names:
            if alias.name == "*":
                raise ConfigError(
                    f"`from {node.module} import *` does not say which names it binds",
                    self.origin(node),
                )
            deferred = Deferred(node.module, alias.name)
            value = functions.CONSTANTS.get(deferred.dotted, deferred)
            self._bind_import(alias.asname or alias.name, value, node)

    def _bind_import(self, name: str, value: Any, node: ast.stmt) -> None:
        self.bind(name, value, self.origin(node))
        if self.frame is None:
            self.imported.add(name)

    def _function(self, node: ast.FunctionDef) -> None:
        self._bind_import(node.name, define(self, node), node)

    def _with(self, node: ast.With) -> None:
        if not is_read_base(node) or self.frame is not None:
            raise self.refuse(node, "a with block other than `with read_base():`")
        for statement in node.body:
            if isinstance(statement, ast.ImportFrom):
                self.at = statement
                self.inherit(statement)
            elif not isinstance(statement, ast.Pass):
                raise ConfigError(
                    "only `from … import …` may stand under `with read_base():`",
                    self.origin(statement),
                )


_LEAVES = {"break": "", "return": "return"}
_STATEMENTS: dict[type, Callable[[Interpreter, Any], str | None]] = {
    ast.Assign: Interpreter._assign,
    ast.AnnAssign: Interpreter._annotated,
    ast.AugAssign: Interpreter._augmented,
    ast.Expr: Interpreter._expression,
    ast.If: Interpreter._if_statement,
    ast.For: Interpreter._for,
    ast.While: Interpreter._while,
    ast.Break: lambda self, node: "break",
    ast.Continue: lambda self, node: "continue",
    ast.Pass: lambda self, node: None,
    ast.Delete: Interpreter._delete,
    ast.Assert: Interpreter._assert,
    ast.Import: Interpreter._import,
    ast.ImportFrom: Interpreter._import_from,
    ast.With: Interpreter._with,
    ast.FunctionDef: Interpreter._function,
    ast.Return: Interpreter._return,
    ast.Try: Interpreter._try,
}


def _catches(handler: ast.ExceptHandler, fault: Exception) -> bool:
    """Whether an ``except`` names the kind of ``fault``, or one that it derives from."""
    kinds = {kind.__name__ for kind in type(fault).__mro__}
    if handler.type is None:
        return True
    nodes = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(node, ast.Name) and node.id in kinds for node in nodes)


def is_read_base(node: ast.stmt) -> bool:
    """Whether a statement is a ``with read_base():`` block."""
    if not isinstance(node, ast.With) or len(node.items) != 1:
        return False
    call = node.items[0].context_expr
    name = call.func if isinstance(call, ast.Call) and not call.args else None
    return isinstance(name, ast.Name) and name.id == "read_base"


def parse(text: str, file: str) -> ast.Module:
    """The AST of a config, or a ConfigError with the line."""
    _check_parsing(text, file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes: one for each, by the hundred thousand
            return ast.parse(text, filename=file)
    except SyntaxError as fault:
        raise ConfigError(f"syntax error: {fault.msg}", Origin(file, fault.lineno or 0)) from None
    except (RecursionError, MemoryError):
        raise ConfigError("the config is nested too deeply", Origin(file)) from None
    except ValueError as fault:
        raise ConfigError(f"not a text file: {fault}", Origin(file)) from None


_LONG_IMPORT = re.compile(r"(?:import|from)[\w. \t]{5000}")
_F_STRING = re.compile(r"\b[rR]?[fF][rR]?['\"]")


def _check_parsing(text: str, file: str) -> None:
    """Refuse what Python's own parser takes minutes for; it is quadratic in two places."""
    if len(text) < 50_000:
        return
    if _LONG_IMPORT.search(text.replace("\\\n", "")):
        raise ConfigError("an import of thousands of names", Origin(file))
    if text.count("{") > 10_000 and _F_STRING.search(text):
        raise ConfigError("f-strings among more than 10,000 braces", Origin(file))

"""The safe evaluator: the value of a Python expression of the supported subset, read from its AST.

Nothing is executed or imported: names, operators and a fixed list of functions and methods are
interpreted here, and each step is paid for (see ``limits``).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from loopwright.config import calls, comprehend, functions, operators
from loopwright.config.deferred import Deferred
from loopwright.config.defined import UNBOUND
from loopwright.config.environment import ENVIRON, Environment
from loopwright.config.errors import TRUST_HINT, ConfigError, nearest
from loopwright.config.fresh import Fresh
from loopwright.config.limits import Fuel
from loopwright.config.node import ConfigDict, make
from loopwright.config.provenance import Origin

_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, box: item in box,
    ast.NotIn: lambda item, box: item not in box,
}
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}


class Evaluator:
    """Values of expressions of one file; ``names`` is its module scope."""

    def __init__(self, file: str, fuel: Fuel, names: ConfigDict | None = None) -> None:
        self.file = file
        self.fuel = fuel
        self.names: ConfigDict = Fresh() if names is None else names
        self.scopes: list[dict[str, Any]] = []
        self.frame: dict[str, Any] | None = None
        self.fill: Callable[[str], str] | None = None
        self.at: ast.AST | None = None
        self.shared = False
        self.environment = Environment()

    def value(self, node: ast.AST) -> Any:
        """The value of one expression."""
        kind = node.__class__
        if kind is ast.Constant:
            return self._constant(node)  # type: ignore[arg-type]
        self.fuel.left -= 1
        if self.fuel.left < 0:
            self.fuel.spend(0)
        handler = _HANDLERS.get(kind)
        if handler is None:
            raise self.refuse(node)
        self.at = node
        return handler(self, node)

    def refuse(self, node: ast.AST, what: str = "") -> ConfigError:
        """The error for something the reader does not do, showing the expression."""
        return ConfigError(f"{what or 'this'} is {TRUST_HINT}: {source(node)}", self.origin(node))

    def origin(self, node: ast.AST, value: ast.AST | None = None) -> Origin:
        return Origin(self.file, getattr(node, "lineno", 0), value)

    def _constant(self, node: ast.Constant) -> Any:
        if self.fill is not None and node.value.__class__ is str:
            self.fuel.spend(len(node.value) >> 5)
            return self.fill(node.value)
        return node.value

    def _name(self, node: ast.Name) -> Any:
        name = node.id
        for scope in reversed(self.scopes):
            if name in scope:
                if scope[name] is UNBOUND:
                    raise ConfigError(f"{name!r} is used before it is set", self.origin(node))
                return scope[name]
        if name in self.names:
            self.shared = self.shared or name == "_base_"
            return dict.__getitem__(self.names, name)
        if name in functions.FUNCTIONS:
            return Deferred("builtins", name)
        known = [*self.names, *functions.FUNCTIONS]
        if name in functions.REFUSED:
            raise self.refuse(node, f"{name!r}")
        raise ConfigError(f"name {name!r} is not defined{nearest(name, known)}", self.origin(node))

    def _list(self, node: ast.List) -> Any:
        return self.elements(node.elts)

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.elements(node.elts))

    def elements(self, nodes: list[ast.expr]) -> list[Any]:
        """The values of expressions in a row, ``*more`` among them."""
        self.fuel.spend(len(nodes) >> 2)
        result: list[Any] = []
        for node in nodes:
            if node.__class__ is ast.Starred:
                more = functions.listed(self.fuel, self.value(node.value))  # type: ignore[attr-defined]
                self.fuel.sized(len(result) + len(more))
                result.extend(more)
            else:
                result.append(self.value(node))
        return result

    def _set(self, node: ast.Set) -> Any:
        inner = node.elts[0]
        if len(node.elts) == 1 and inner.__class__ is ast.Set and len(inner.elts) == 1:  # type: ignore[attr-defined]
            return self._braces(inner.elts[0])  # type: ignore[attr-defined]
        return self.hashed(set, self.elements(node.elts))

    def _braces(self, node: ast.expr) -> Any:
        """``{{_base_.a.b}}``, which Python's grammar reads as a set in a set."""
        root: ast.expr = node
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if "_base_" in self.names and isinstance(root, ast.Name) and root.id == "_base_":
            return self.value(node)
        return {frozenset([self.value(node)])}

    def hashed(self, kind: Callable[[Any], Any], items: list[Any]) -> Any:
        for item in items:
            self.fuel.weigh(item)
        return kind(items)

    def _dict(self, node: ast.Dict) -> Any:
        self.fuel.spend(1 + (len(node.keys) >> 2))
        items: dict[Any, Any] = {}
        origins: dict[Any, Origin] = {}
        for key_node, value_node in zip(node.keys, node.values):
            if key_node is None:
                calls.spread(self, value_node, items, origins)
                continue
            key = self.value(key_node)
            if key.__class__ is tuple:
                self.fuel.weigh(key)
            items[key] = self.value(value_node)
            origins[key] = Origin(self.file, key_node.lineno, value_node)
        return make(items, origins, Fresh)

    def child(self, owner: Deferred, node: ast.Attribute) -> Deferred:
        if node.attr.startswith("__"):
            raise self.refuse(node, f"attribute {node.attr!r}")
        return owner.child(node.attr)

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if isinstance(owner, ConfigDict) and not node.attr.startswith("__"):
            if node.attr in owner:
                return dict.__getitem__(owner, node.attr)
            text = f"{source(node.value)} has no key {node.attr!r}{nearest(node.attr, owner)}"
            raise ConfigError(text, self.origin(node))
        if isinstance(owner, Deferred):
            child = self.child(owner, node)
            return functions.CONSTANTS.get(child.dotted, child)
        raise self.refuse(node, f"attribute {node.attr!r} of {type(owner).__name__}")

    def _subscript(self, node: ast.Subscript) -> Any:
        owner, key = self.value(node.value), self.value(node.slice)
        if isinstance(owner, Deferred):
            if owner.dotted == ENVIRON:
                return self.environment.item(key)
            raise self.refuse(node, f"indexing {owner.dotted!r}")
        self.fuel.weigh(key)
        result = owner[key]
        if isinstance(key, slice):
            self.fuel.sized(len(result))
        return result

    def _slice(self, node: ast.Slice) -> Any:
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self.value(part) for part in parts))

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        self.at = node
        return operators.binary(self.fuel, node.op.__class__, left, right)

    def _unary(self, node: ast.UnaryOp) -> Any:
        return _UNARY[node.op.__class__](self.value(node.operand))

    def _bool(self, node: ast.BoolOp) -> Any:
        stop = node.op.__class__ is ast.Or
        result: Any = None
        for operand in node.values:
            result = self.value(operand)
            if bool(result) is stop:
                return result
        return result

    def _compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        result: Any = True
        for op, right_node in zip(node.ops, node.comparators):
            right = self.value(right_node)
            if left.__class__ is Deferred or right.__class__ is Deferred:
                left, right = self._comparable(node, op, left, right)
            self._looked_at(left)
            if right.__class__ is not range or left.__class__ is not int:
                self._looked_at(right)
            result = _COMPARE[op.__class__](left, right)
            if not result:
                return result
            left = right
        return result

    def _looked_at(self, side: Any) -> None:
        """Pay for a side of a comparison; numbers and short texts cost nothing."""
        if side.__class__ is not int and (side.__class__ is not str or len(side) > 31):
            functions.pay(self.fuel, side)

    def _comparable(self, node: ast.Compare, op: ast.cmpop, left: Any, right: Any) -> Any:
        """Both sides, where one is an imported name: what the system holds is not known here."""
        within = isinstance(op, ast.In | ast.NotIn) and isinstance(right, Deferred)
        if within and right.dotted == ENVIRON:
            return left, {left} if self.environment.holds(left) else set()
        for side in (left, right):
            if isinstance(side, Deferred):
                operators.known(side)
        return left, right

    def _if(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _joined(self, node: ast.JoinedStr) -> Any:
        pieces: list[str] = []
        length = 0
        for part in node.values:
            pieces.append(self._piece(part))
            length += len(pieces[-1])
            if length > self.fuel.limits.characters:
                break
        self.fuel.lettered(length)
        text = "".join(pieces)
        return self.fill(text) if self.fill is not None else text

    def _piece(self, node: ast.expr) -> str:
        if node.__class__ is not ast.FormattedValue:
            return str(node.value)  # type: ignore[attr-defined]
        part: ast.FormattedValue = node  # type: ignore[assignment]
        value = self.value(part.value)
        spec = "" if part.format_spec is None else self.value(part.format_spec)
        return operators.formatted(self.fuel, value, spec, part.conversion)

    def _walrus(self, node: ast.NamedExpr) -> Any:
        value = self.value(node.value)
        self.bind(node.target.id, value, self.origin(node, node.value))
        return value

    def bind(self, name: str, value: Any, origin: Origin) -> None:
        """Set a variable: of the function that is being called, else of the file."""
        if self.frame is not None:
            self.frame[name] = value
            return
        before = self.names.origins_of().get(name)
        if before is not None:
            origin = origin.put_over(before, dict.get(self.names, name), value)
        dict.__setitem__(self.names, name, value)
        self.names.mark(name, origin)


_HANDLERS: dict[type, Callable[[Evaluator, Any], Any]] = {
    ast.Name: Evaluator._name,
    ast.List: Evaluator._list,
    ast.Tuple: Evaluator._tuple,
    ast.Set: Evaluator._set,
    ast.Dict: Evaluator._dict,
    ast.Call: calls.call,
    ast.Attribute: Evaluator._attribute,
    ast.Subscript: Evaluator._subscript,
    ast.Slice: Evaluator._slice,
    ast.BinOp: Evaluator._binary,
    ast.UnaryOp: Evaluator._unary,
    ast.BoolOp: Evaluator._bool,
    ast.Compare: Evaluator._compare,
    ast.IfExp: Evaluator._if,
    ast.JoinedStr: Evaluator._joined,
    ast.ListComp: comprehend.list_of,
    ast.GeneratorExp: comprehend.list_of,
    ast.SetComp: comprehend.set_of,
    ast.DictComp: comprehend.dict_of,
    ast.NamedExpr: Evaluator._walrus,
}


def source(node: ast.AST, limit: int = 80) -> str:
    """The expression as text, cut to one line."""
    try:
        text = ast.unparse(node)
    except (RecursionError, ValueError):
        return "…"
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"

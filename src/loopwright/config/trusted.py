"""The one door through which a config is run as Python: ``trust=True``, ``--trust-config``."""

from __future__ import annotations

import ast
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from loopwright.config.errors import ConfigError
from loopwright.config.node import convert
from loopwright.config.provenance import Origin
from loopwright.config.statements import Interpreter, is_read_base


def run(body: list[ast.stmt], path: str, scope: Interpreter) -> None:
    """Execute the statements of ``path`` and leave the names it sets in ``scope``."""
    names: dict[str, Any] = dict(scope.names)
    fill = _Fill(scope)
    for statement in body:
        if is_read_base(statement):
            for line in statement.body:  # type: ignore[attr-defined]
                scope.inherit(line)
            names.update(scope.names)
            continue
        module = ast.Module([fill.visit(statement)], type_ignores=[])
        code = compile(ast.fix_missing_locations(module), path, "exec")
        try:
            exec(code, names)
        except Exception as fault:
            text = f"{type(fault).__name__}: {fault}"
            raise ConfigError(text, Origin(path, statement.lineno)) from fault
    _keep(body, path, names, scope)


class _Fill(ast.NodeTransformer):
    """Makes ``{{_base_.a}}`` an attribute and fills it in inside strings."""

    def __init__(self, scope: Interpreter) -> None:
        self.fill = scope.fill

    def visit_Set(self, node: ast.Set) -> ast.AST:
        inner = node.elts[0]
        if isinstance(inner, ast.Set) and ast.unparse(inner.elts[0]).startswith("_base_"):
            return inner.elts[0]
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.fill is not None and isinstance(node.value, str):
            return ast.copy_location(ast.Constant(self.fill(node.value)), node)
        return node


def _keep(body: list[ast.stmt], path: str, names: dict[str, Any], scope: Interpreter) -> None:
    """Hand the values over as data, with the places that assignments show."""
    places = {
        target.id: node
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                scope.imported.add(alias.asname or alias.name.partition(".")[0])
    dropped = (FunctionType, BuiltinFunctionType, ModuleType)
    for name, value in names.items():
        if isinstance(value, dropped) or name.startswith("__"):
            scope.imported.discard(name)
            dict.pop(scope.names, name, None)
            continue
        dict.__setitem__(scope.names, name, convert(value))
        if name in places:
            origin = Origin(path, places[name].lineno, places[name].value)
            scope.names.mark(name, origin)
            mark_literal(scope.names[name], places[name].value, path)
    scope.imported &= set(scope.names)


def mark_literal(value: Any, node: ast.expr, path: str) -> None:
    """Places for the keys of ``value`` that ``node`` writes out."""
    if isinstance(value, list | tuple) and isinstance(node, ast.List | ast.Tuple):
        for child, part in zip(value, node.elts):
            mark_literal(child, part, path)
    if not hasattr(value, "mark"):
        return
    written: list[tuple[Any, ast.expr]] = []
    if isinstance(node, ast.Call):
        written = [(keyword.arg, keyword.value) for keyword in node.keywords]
    elif isinstance(node, ast.Dict):
        keys = [getattr(key, "value", None) for key in node.keys]
        written = list(zip(keys, node.values))
    for key, part in written:
        if key in value:
            value.mark(key, Origin(path, part.lineno, part))
            mark_literal(value[key], part, path)

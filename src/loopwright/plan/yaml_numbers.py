"""Numbers that YAML 1.1 reads as texts: ``1e-3`` without a point or a sign. Said, not changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from loopwright.plan.finding import Finding, Node

_WRITTEN = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)[eE]([+-]?)(\d+)")


def explained(root: Node, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; errors say why YAML gave a text, and a text that no error tells is warned of.

    The value stays what every YAML 1.1 reader gives, MMEngine's among them.
    """
    texts = {node.path: node for node in _texts(root)}
    for finding in findings:
        node = next((n for n in texts.values() if _tells(finding, n)), None)
        if node is None:
            yield finding
        else:
            del texts[node.path]
            yield replace(finding, message=f"{finding.message}, {_why(node.value)}")
    for node in texts.values():
        yield node.warning(f"is {node.value!r}, {_why(node.value)}")


def as_yaml(text: str) -> str:
    """The same number as YAML 1.1 reads it: with a point, and a sign of the exponent.

    >>> as_yaml("1e-3"), as_yaml("-2.5E4"), as_yaml(".5e3")
    ('1.0e-3', '-2.5e+4', '0.5e+3')
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no number with an exponent")
    sign, digits, exponent_sign, exponent = match.groups()
    whole, _, part = digits.partition(".")
    return f"{sign}{whole or 0}.{part or 0}e{exponent_sign or '+'}{exponent}"


def _why(text: str) -> str:
    return f"a text to YAML; as a number it is written {as_yaml(text)}"


def _texts(node: Node) -> Iterator[Node]:
    """The texts of YAML files that are written as a number with an exponent is."""
    if not isinstance(node.value, str):
        for child in node.children():
            yield from _texts(child)
    elif _of_yaml(node.inherited) and _WRITTEN.fullmatch(node.value):
        yield node


def _of_yaml(origin: str) -> bool:
    return origin.rpartition(":")[0].endswith((".yaml", ".yml"))


def _tells(finding: Finding, node: Node) -> bool:
    """Whether an error is about this text: at its place, or at a part that holds it."""
    below = node.path == finding.path or node.path.startswith(f"{finding.path}.")
    return finding.level == "error" and below and repr(node.value) in finding.message

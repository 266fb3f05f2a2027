"""What a small part of ours refuses of values that fit its signature, found by making it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from loopwright.plan.finding import Finding, Node
from loopwright.plan.making import located

Given = Callable[[], tuple[Any, ...]]
"""Gives what a run hands to a part beside its arguments: a model, parameters."""
_OURS = ("loopwright.", "torch.optim.")
_PLAIN = (bool, int, float, str, type(None))
_NOT_ARGUMENTS = ("type", "_scope_")


def refused(node: Node, target: Any, given: Given) -> Iterator[Finding]:
    """Errors for what the constructor raises, warnings for what it warns of.

    Parts of others are not made, nor what holds more than plain data. What is absent here and not
    wrong (a package, a file, a device) is no finding.
    """
    arguments = {k: v for k, v in node.value.items() if k not in _NOT_ARGUMENTS}
    if not f"{getattr(target, '__module__', '')}.".startswith(_OURS) or not _plain(arguments):
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            target(*given(), **arguments)
        except (ValueError, TypeError) as error:
            yield located(node, "", str(error), "error")
        except Exception:
            return
    for one in said:
        if issubclass(one.category, UserWarning):
            yield located(node, "", str(one.message), "warning")


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_plain(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(_plain(inner) for inner in value)
    return isinstance(value, _PLAIN)

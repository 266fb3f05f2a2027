"""Finding the path of a dict inside the config being built, for error messages only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_config: ContextVar[Any] = ContextVar("loopwright_config", default=None)


@contextmanager
def building(config: Any) -> Iterator[None]:
    """Say which whole config is being built, so that errors can name paths in it."""
    token = _config.set(config)
    try:
        yield
    finally:
        _config.reset(token)


def path_of(part: Any) -> str:
    """The dotted path of ``part`` (found by identity) in the config being built, or ''."""
    whole = _config.get()
    if whole is None or part is None:
        return ""
    tops = ((str(key), whole[key]) for key in whole)
    found = (path for key, top in tops for path, node in _nodes(top, key) if node is part)
    return next(found, "")


def _nodes(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, node
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list | tuple):
        items = enumerate(node)
    for key, value in items:
        yield from _nodes(value, f"{path}.{key}")

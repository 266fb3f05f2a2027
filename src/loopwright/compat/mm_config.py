"""`DictAction` and `read_base` for scripts and pure-Python configs written for MMEngine."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopwright.config import parse_override

__all__ = ["DictAction", "read_base"]


class DictAction(Action):
    """An argparse action for ``--cfg-options a.b=1 c=[1,2]``: one dict of dotted keys."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in [values] if isinstance(values, str) else values:
            override = parse_override(text)
            options[".".join(override.path)] = override.value
        setattr(namespace, self.dest, options)


@contextmanager
def read_base() -> Iterator[None]:
    """Marks the imports of base configs; it means something to `Config.fromfile` alone."""
    yield

"""``--cfg-options key=value …`` for argparse scripts, with MMEngine's grammar."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from loopwright.config.errors import ConfigError
from loopwright.config.value_text import parse_value


class DictAction(argparse.Action):
    """An argparse action that gathers ``key=value`` pairs into a dict.

    >>> parser = argparse.ArgumentParser()
    >>> action = parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    >>> parser.parse_args(["--cfg-options", "a.lr=1e-3", "b=8,11", "c=[(1,2),x]"]).cfg_options
    {'a.lr': 0.001, 'b': [8, 11], 'c': [(1, 2), 'x']}
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in [values] if isinstance(values, str) else values or ():
            key, found, value = str(text).partition("=")
            if not found:
                parser.error(f"{option_string}: {text!r} is not key=value")
            try:
                options[key.strip()] = cfg_option(value)
            except ConfigError as fault:
                parser.error(f"{option_string}: {fault}")
        setattr(namespace, self.dest, options)


def cfg_option(text: str) -> Any:
    """One value; quotes around the whole of it are taken off first, as MMEngine does.

    >>> cfg_option('"[(1,2),(3,4)]"'), cfg_option("'1'"), cfg_option("a b")
    ([(1, 2), (3, 4)], 1, 'a b')
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return parse_value(text)

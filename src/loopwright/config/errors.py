"""What a config says when it cannot be read: the fault, where it stands, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

TRUST_HINT = (
    "outside what the safe reader evaluates; if you trust this file, --trust-config "
    "(Config.fromfile(..., trust=True)) runs it as Python"
)


MOST_CHARACTERS = 1500


def brief(value: object) -> str:
    """A value in an error: containers by their type, since their text may have no end."""
    if isinstance(value, dict | list | tuple | set | frozenset):
        return f"a {type(value).__name__}"
    return f"{value!r:.40}"


class ConfigError(ValueError):
    """A config cannot be read, merged or overridden; ``origin`` says where the fault was written.

    >>> str(ConfigError("lr must be a number, got 'x'", "configs/base.py:12"))
    "lr must be a number, got 'x' (configs/base.py:12)"
    """

    def __init__(self, message: str, origin: object = None) -> None:
        if len(message) > MOST_CHARACTERS:
            message = f"{message[:1000]} … {message[-400:]}"  # what was wrong stands at the end
        self.message = message
        self.origin = origin
        super().__init__(f"{message} ({origin})" if origin is not None else message)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object]]:
        return type(self), (self.message, self.origin)


class MissingKey(KeyError):
    """A key that a config lacks; its text, with the nearest key, is made only when it is read."""

    def __init__(self, key: object, keys: Iterable[object] = ()) -> None:
        super().__init__(key)
        self.keys = list(keys)

    def __str__(self) -> str:
        return missing(self.args[0], self.keys)


class MissingAttribute(AttributeError):
    """The same for attribute access, so that ``getattr(cfg, name, default)`` stays cheap."""

    def __init__(self, name: str, keys: Iterable[object] = ()) -> None:
        super().__init__(name)
        self.keys = list(keys)

    def __str__(self) -> str:
        return missing(self.args[0], self.keys)


def missing(name: object, known: Iterable[object]) -> str:
    """Say that ``name`` is not there, and what is most like it.

    >>> missing("optimzer", ["optimizer", "model"])
    "no key 'optimzer'; did you mean 'optimizer'?"
    """
    return f"no key {name!r}{nearest(name, known)}"


def nearest(name: object, known: Iterable[object]) -> str:
    """``"; did you mean 'x'?"`` or, where nothing is near, a short list of what there is."""
    names = [key for key in known if isinstance(key, str)]
    close = get_close_matches(str(name), names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:12])
    return f"; there are: {shown}{', …' if len(names) > 12 else ''}"

"""Taking secrets out of what is shown."""

from __future__ import annotations

import re

_NAMES = r"(?:password|passwd|secret|token|api_?key|access_?key|credential|private_?key)"
_ASSIGNED = re.compile(rf"""(?i)(['"]?\b\w*{_NAMES}\w*['"]?\s*[=:]\s*)(['"])(?:(?!\2).)+\2""")
_IN_URL = re.compile(r"(\w+://)[^/\s'\"@]+@")
_PATH = re.compile(rf"(?i){_NAMES}")


def redacted(text: str) -> str:
    """A text whose secrets are replaced: values of telling names, user and password in a URL.

    >>> redacted("api_key = 'abc', url = 'https://me:pw@host/x'")
    "api_key = '***', url = 'https://***@host/x'"
    """
    return _IN_URL.sub(r"\1***@", _ASSIGNED.sub(r"\1\2***\2", text))


def redacted_value(path: str, value: str) -> str:
    """A value to show under a dotted path.

    >>> redacted_value("visualizer.api_key", "'abc'"), redacted_value("lr", "0.1")
    ('***', '0.1')
    """
    return "***" if _PATH.search(path) else redacted(value)

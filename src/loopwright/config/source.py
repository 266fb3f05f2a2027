"""The bytes of a config file as text, or why there is none."""

from __future__ import annotations

import os
import stat
from difflib import get_close_matches

from loopwright.config.errors import ConfigError
from loopwright.config.limits import LIMITS, Limits
from loopwright.config.provenance import Origin, shown


def read_text(path: str, limits: Limits = LIMITS, origin: Origin | None = None) -> str:
    """The text of a config file; a ConfigError for what is missing, too big, or no text."""
    most = limits.code_bytes if path.lower().endswith((".py", ".toml")) else limits.file_bytes
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{shown(path)} is no regular file", origin)
        if status.st_size > most:
            raise ConfigError(f"{shown(path)} is larger than {most} bytes", origin)
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as fault:
        raise ConfigError(_not_found(path, fault), origin) from None
    except ValueError as fault:
        raise ConfigError(f"{path!r} is no path: {fault}", origin) from None
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{shown(path)} is not UTF-8 at byte {fault.start}") from None
    if "\0" in text:
        raise ConfigError(f"{shown(path)} holds a NUL at byte {data.index(0)}")
    return text.replace("\r\n", "\n")


def _not_found(path: str, fault: OSError) -> str:
    return f"cannot read {shown(path)}: {fault.strerror}{near_file(path)}"


def _folders(inside: str) -> list[str]:
    return next(os.walk(inside), ("", [], []))[1]


def near_file(path: str) -> str:
    """``"; did you mean 'x.py'?"`` for a file that is not there."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        above = os.path.dirname(folder) or "."
        near = get_close_matches(os.path.basename(folder), _folders(above), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"; there is no folder {shown(folder)}{hint}"
    close = [n for n in get_close_matches(name, os.listdir(folder), n=1) if n != name]
    return f"; did you mean {close[0]!r}?" if close else ""

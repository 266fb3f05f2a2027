"""Open what data names without being led astray: inside a root, a regular file, never a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


class OutsideRoot(ValueError):
    """A path from data leads out of the folder it belongs to."""


def confine(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> Path:
    """Join a relative path from data to ``root``; `OutsideRoot` if it (or a link) leads out.

    >>> confine("images/1.png", "/data").as_posix()
    '/data/images/1.png'
    >>> confine("../secret", "/data")
    Traceback (most recent call last):
    ...
    loopwright.files.reading.OutsideRoot: '../secret' leads out of /data
    """
    text = os.fspath(path)
    base = Path(os.path.realpath(root))
    if "\0" in text or "://" in text:
        raise OutsideRoot(f"{text!r} is not a path inside {base}")
    if os.path.isabs(text):
        raise OutsideRoot(f"{text!r} is absolute; wanted a path relative to {base}")
    real = Path(os.path.realpath(base / text))
    if real != base and base not in real.parents:
        raise OutsideRoot(f"{text!r} leads out of {base}")
    return real


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open an existing regular file for reading; ``OSError`` for a link, pipe, device or folder."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{os.fspath(path)} is not a regular file")
    return os.fdopen(fd, "rb")


def read_bytes(path: str | os.PathLike[str], *, limit: int) -> bytes:
    """The whole of a small regular file; ``OSError`` when it is larger than ``limit`` bytes."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(f"{os.fspath(path)} has {size} bytes, more than the {limit} expected")
        return file.read(limit + 1)

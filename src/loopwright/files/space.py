"""Ask before writing whether the disk has room and takes files at all."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

from loopwright.files.disk import Disk, write_file

MARGIN = 1.05
SLACK = 1 << 20


def check_space(folder: Path, need: int, *, disk: Disk) -> None:
    """``OSError`` (ENOSPC) when ``need`` bytes and a margin of 5 % do not fit in ``folder``.

    >>> check_space(Path("/"), 10**18, disk=Disk())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    OSError: [Errno 28] needs ... TB, ... free: '/'
    """
    wanted, free = int(need * MARGIN) + SLACK, disk.free(folder)
    if free < wanted:
        text = f"needs {in_words(wanted)}, {in_words(free)} free"
        raise OSError(errno.ENOSPC, text, str(folder))


def probe(folder: str | os.PathLike[str], *, disk: Disk | None = None) -> None:
    """Write, sync, rename and remove a tiny file: ``OSError`` now rather than at the first save."""
    disk, base = disk or Disk(), Path(folder)
    first, second = (base / f".tmp-probe-{uuid.uuid4().hex[:8]}{end}" for end in ("a", "b"))
    write_file(disk, first, [b"probe"])
    disk.rename(first, second)
    disk.unlink(second)
    disk.sync_folder(base)


def in_words(size: float) -> str:
    """A size for people: ``in_words(1536)`` is ``'1.5 KB'``.

    >>> in_words(1536), in_words(10)
    ('1.5 KB', '10 B')
    """
    if size < 1024:
        return f"{int(size)} B"
    for unit in ("KB", "MB", "GB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TB"

"""Replace a file whole or not at all: temporary name, sync, rename, sync of the folder."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from loopwright.files.disk import Disk, write_file

DISK = Disk()


def atomic_write(path: str | os.PathLike[str], data: bytes | str, *, disk: Disk = DISK) -> Path:
    """Write ``data`` under ``path`` so that a reader sees the old file or the new one, whole.

    The temporary file lies beside the target, so that the rename stays on one file system.
    ``OSError`` when the disk refuses; the old file is then untouched.

    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "last_checkpoint"
    >>> atomic_write(target, "epoch_3").read_text()
    'epoch_3'
    """
    target = Path(path)
    raw = data.encode() if isinstance(data, str) else data
    tmp = target.with_name(f".tmp-{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        write_file(disk, tmp, [raw])
        disk.rename(tmp, target)
    except OSError:
        with contextlib.suppress(OSError):
            disk.unlink(tmp)
        raise
    disk.sync_folder(target.parent)
    return target

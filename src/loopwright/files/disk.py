"""The few calls that change a disk, in one small object that tests replace with failing ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

CHUNK = 8 << 20


class Disk:
    """What a save asks of the operating system; every method is one call that may fail.

    >>> import tempfile, pathlib
    >>> disk, folder = Disk(), pathlib.Path(tempfile.mkdtemp())
    >>> fd = disk.create(folder / "a")
    >>> disk.write(fd, memoryview(b"whole"))
    5
    >>> disk.sync(fd); disk.close(fd); disk.rename(folder / "a", folder / "b")
    >>> (folder / "b").read_bytes()
    b'whole'
    """

    def create(self, path: Path) -> int:
        """Open a file that must not exist yet, never through a link; the descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, 0o666)

    def write(self, fd: int, data: memoryview) -> int:
        """Write some of the bytes; how many were taken (may be fewer than given)."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Wait until the file's bytes are on the device."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Give the descriptor back."""
        os.close(fd)

    def mkdir(self, path: Path) -> None:
        """Make one new folder."""
        os.mkdir(path)

    def sync_folder(self, path: Path) -> None:
        """Wait until the folder's names (new, renamed, removed) are on the device."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder its new name in one step."""
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        """Remove one file."""
        os.unlink(path)

    def rmdir(self, path: Path) -> None:
        """Remove one empty folder."""
        os.rmdir(path)

    def free(self, path: Path) -> int:
        """Bytes a user may still write in this folder."""
        return shutil.disk_usage(path).free


def write_all(disk: Disk, fd: int, data: memoryview) -> None:
    """Write every byte, going on after short writes; ``OSError`` when the disk takes none."""
    done = 0
    while done < len(data):
        taken = disk.write(fd, data[done : done + CHUNK])
        if taken <= 0:
            raise OSError("the disk took none of the bytes written to it")
        done += taken


def write_file(disk: Disk, path: Path, chunks: Iterable[bytes]) -> int:
    """Write a new file and wait until it is on the device; its size in bytes."""
    fd = disk.create(path)
    size = 0
    try:
        for chunk in chunks:
            write_all(disk, fd, memoryview(chunk))
            size += len(chunk)
        disk.sync(fd)
    finally:
        disk.close(fd)
    return size


def remove_tree(disk: Disk, path: Path) -> None:
    """Remove a folder of files (or one file) through ``disk``; links are removed, not followed."""
    if path.is_symlink() or not path.is_dir():
        disk.unlink(path)
        return
    for child in sorted(path.iterdir()):
        remove_tree(disk, child)
    disk.rmdir(path)

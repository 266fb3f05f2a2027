"""Disks for tests: one counts calls and fails at a chosen one, one records every operation."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

from loopwright.files import Disk

CALLS = ("create", "write", "sync", "close", "mkdir", "sync_folder", "rename", "unlink", "rmdir")


class CountingDisk(Disk):
    """A real disk that knows how many calls were made."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def before(self, call: str) -> None:
        self.calls.append(call)

    def create(self, path):
        self.before("create")
        return super().create(path)

    def write(self, fd, data):
        self.before("write")
        return super().write(fd, data)

    def sync(self, fd):
        self.before("sync")
        super().sync(fd)

    def close(self, fd):
        self.before("close")
        super().close(fd)

    def mkdir(self, path):
        self.before("mkdir")
        super().mkdir(path)

    def sync_folder(self, path):
        self.before("sync_folder")
        super().sync_folder(path)

    def rename(self, old, new):
        self.before("rename")
        super().rename(old, new)

    def unlink(self, path):
        self.before("unlink")
        super().unlink(path)

    def rmdir(self, path):
        self.before("rmdir")
        super().rmdir(path)


class FaultyDisk(CountingDisk):
    """Fails at call number ``at``: dies, reports an error, or writes less than asked."""

    def __init__(self, at: int, kind: str) -> None:
        super().__init__()
        self.at, self.kind = at, kind

    def before(self, call: str) -> None:
        super().before(call)
        if len(self.calls) - 1 != self.at:
            return
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind in ("ENOSPC", "EIO") and call != "close":
            number = getattr(errno, self.kind)
            raise OSError(number, os.strerror(number))

    def write(self, fd, data):
        place = len(self.calls)
        if self.kind == "short" and place == self.at:
            return super().write(fd, data[: max(1, len(data) // 2)])
        if self.kind == "short then full" and place == self.at:
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


class RecordingDisk(Disk):
    """Notes every change by inode, so that a power failure can be replayed without some of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[tuple] = []
        self.inode_of: dict[int, int] = {}

    def create(self, path):
        fd = super().create(path)
        inode = os.fstat(fd).st_ino
        self.inode_of[fd] = inode
        self.log.append(("link", self._folder(path), path.name, inode, "file"))
        return fd

    def write(self, fd, data):
        taken = super().write(fd, data)
        self.log.append(("data", self.inode_of[fd], bytes(data[:taken])))
        return taken

    def sync(self, fd):
        super().sync(fd)
        self.log.append(("sync", self.inode_of[fd]))

    def mkdir(self, path):
        super().mkdir(path)
        self.log.append(("link", self._folder(path), path.name, os.stat(path).st_ino, "folder"))

    def sync_folder(self, path):
        super().sync_folder(path)
        self.log.append(("sync", os.stat(path).st_ino))

    def rename(self, old, new):
        inode = os.stat(old).st_ino
        kind = "folder" if old.is_dir() else "file"
        super().rename(old, new)
        self.log.append(("move", self._folder(old), old.name, new.name, inode, kind))

    def unlink(self, path):
        super().unlink(path)
        self.log.append(("unlink", self._folder(path), path.name))

    def rmdir(self, path):
        super().rmdir(path)
        self.log.append(("unlink", self._folder(path), path.name))

    def _folder(self, path):
        return os.stat(path.parent).st_ino

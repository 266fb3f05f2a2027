"""One writer per run folder: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

EXIT_LOCKED = 73


class Locked(RuntimeError):
    """Another run writes into this folder; a command ends with ``exit_code`` 73."""

    exit_code = EXIT_LOCKED


def boot_id() -> str:
    """The kernel's name for this boot; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


class RunLock:
    """Hold ``folder/.lock`` for as long as this object is open; `Locked` if another holds it.

    The lock is ``flock``: it goes with the process, so a killed run leaves nothing to clean up.
    Forked children (loader workers) let go of it, so that orphans cannot keep it.
    The file says who holds it (pid, host, boot) for the message of the second run.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with RunLock(folder):
    ...     RunLock(folder).acquire()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    loopwright.files.lock.Locked: ... is in use by pid ...
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / ".lock"
        self._fd: int | None = None

    def acquire(self) -> Self:
        """Take the lock now or raise `Locked`, naming the holder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 4096, 0)
            os.close(fd)
            raise Locked(f"{self.path.parent} is in use by {_who(holder)}") from error
        _note(fd)
        self._fd = fd
        _HELD.add(self)
        return self

    def release(self) -> None:
        """Free the lock; the file stays, so that nobody locks a removed one."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # also for children that still share it
            os.close(self._fd)
            self._fd = None

    def forget(self) -> None:
        """Drop an inherited descriptor after a fork; the parent keeps the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _note(fd: int) -> None:
    """Write down who holds the lock; a full disk must not keep a run from starting."""
    me = {"pid": os.getpid(), "host": socket.gethostname(), "boot": boot_id()}
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(me).encode(), 0)
    except OSError:
        return


def _who(note: bytes) -> str:
    """The holder in words, from what the lock file says."""
    try:
        holder: dict[str, Any] = json.loads(note)
        return f"pid {holder['pid']} on {holder['host']} (one run a folder)"
    except (ValueError, KeyError, TypeError):
        return "pid unknown (one run a folder)"


def _forget_all() -> None:
    """In a forked child: none of the parent's locks is ours."""
    for lock in list(_HELD):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)

"""LineFile: an append-only text file that knows its length, so that it can be cut on resume."""

from __future__ import annotations

import logging
import os
from pathlib import Path

__all__ = ["LineFile"]

_LOGGER = logging.getLogger("loopwright.log")


class LineFile:
    """Whole lines, appended unbuffered. A write the disk refuses is counted, never raised.

    A line is either there with its end or not at all, also after a full disk or a kill: what is
    left of a broken one is cut off at the next write or opening.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.dropped = 0
        self._descriptor: int | None = None
        self._offset = 0

    @property
    def offset(self) -> int:
        """The length in bytes up to the last whole line."""
        if self._descriptor is None and self.path.exists():
            return _whole_lines(self.path)
        return self._offset

    def append(self, text: str) -> None:
        """Append one or more whole lines (`text` ends with a newline)."""
        data = text.encode()
        try:
            descriptor = self._open()
            written = os.write(descriptor, data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes were written")
            self._offset += len(data)
        except OSError as error:
            self._count(text.count("\n"), error)

    def truncate(self, offset: int) -> None:
        """Cut the file to its first `offset` bytes; a shorter one stays, with a warning."""
        descriptor = self._open()
        size = os.fstat(descriptor).st_size
        if size < offset:
            _LOGGER.warning(
                "%s has %d bytes where the checkpoint expects %d: its last lines are lost",
                self.path,
                size,
                offset,
            )
        self._cut(min(size, offset))

    def sync(self) -> int:
        """Make what was written survive a power cut; returns the offset."""
        if self._descriptor is not None:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._count(0, error)
        return self.offset

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = _whole_lines(self.path) if self.path.exists() else 0
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
            self._cut(whole)
        return self._descriptor

    def _cut(self, size: int) -> None:
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, size)
        self._offset = size

    def _count(self, lines: int, error: OSError) -> None:
        """Count lost lines, warn at the first and then once in a hundred, cut a half line off."""
        before, self.dropped = self.dropped, self.dropped + lines
        if before == 0 or before // 100 != self.dropped // 100:
            _LOGGER.warning("%s: %s; %d lines dropped so far", self.path, error, self.dropped)
        try:
            if self._descriptor is not None:
                self._cut(self._offset)
        except OSError as second:
            _LOGGER.debug("%s: could not cut a half-written line off: %s", self.path, second)


def _whole_lines(path: Path) -> int:
    """The number of bytes up to and with the last newline."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0

"""A file that is hashed while it is written: the two run side by side, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from loopwright.checkpoint.manifest import FileNote

CHUNK = 8 << 20
ALONGSIDE = 256 << 10

Sink = Callable[[memoryview], None]


class HashedFile:
    """Hands bytes to ``sink`` and to sha256 at once; after an error it swallows what follows.

    Swallowing lets a foreign writer (torch's zip writer) come to its end; `note` then raises the
    first error.

    >>> taken = []
    >>> with HashedFile(taken.append) as file:
    ...     written = file.write(b"abc")
    >>> file.note().size, file.note().sha256[:8]
    (3, 'ba7816bf')
    """

    def __init__(self, sink: Sink) -> None:
        self.size = 0
        self.error: Exception | None = None
        self._sink = sink
        self._digest = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write and hash all of ``data``; its length."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            self._chunk(view[start : start + CHUNK])
        return len(view)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def note(self) -> FileNote:
        """Size and sha256 of what was written; raises the error that stopped the writing."""
        if self.error is not None:
            raise self.error
        return FileNote(self.size, self._digest.hexdigest())

    def _chunk(self, view: memoryview) -> None:
        if self.error is not None:
            return
        try:
            self._both(view)
        except Exception as error:
            self.error = error

    def _both(self, view: memoryview) -> None:
        """Small pieces one after the other, large ones on two threads (sha256 frees the GIL)."""
        self.size += len(view)
        if len(view) < ALONGSIDE:
            self._digest.update(view)
            self._sink(view)
            return
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="checkpoint-hash")
        hashing = self._pool.submit(self._digest.update, view)
        try:
            self._sink(view)
        finally:
            hashing.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

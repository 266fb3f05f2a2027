"""A file that is hashed while it is written: the two run side by side, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future

from loopwright.checkpoint.manifest import FileNote

CHUNK = 8 << 20
ALONGSIDE = 256 << 10
GATHER = 64 << 10
MAX_PENDING = 32

Sink = Callable[[memoryview], None]
Steady = Callable[[memoryview], bool]


class HashedFile:
    """Hands bytes to ``sink`` and, on the thread of ``pool``, to sha256; `note` joins the two.

    Data that ``steady`` answers for may be read until `note` is called; other data is copied for
    the hash. After an error everything that follows is swallowed, which lets a foreign writer
    (torch's zip writer) come to its end; `note` then raises the error.

    >>> taken = []
    >>> file = HashedFile(taken.append)
    >>> file.write(b"abc"), file.note().size, file.note().sha256[:8]
    (3, 3, 'ba7816bf')
    """

    def __init__(
        self, sink: Sink, *, pool: Executor | None = None, steady: Steady | None = None
    ) -> None:
        self.size = 0
        self.error: Exception | None = None
        self._sink = sink
        self._digest = hashlib.sha256()
        self._pool = pool
        self._steady = steady
        self._pending: deque[Future[None]] = deque()
        self._small = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        """Write and hash all of ``data``; its length. Small pieces are gathered first."""
        view = memoryview(data).cast("B")
        if len(view) < GATHER:
            self._small += view
        if len(view) >= GATHER or len(self._small) >= GATHER:
            self._gathered()
        if len(view) >= GATHER:
            for start in range(0, len(view), CHUNK):
                self._chunk(view[start : start + CHUNK])
        return len(view)

    def flush(self) -> None:
        """Small pieces wait for `check`; torch asks for a flush nobody needs."""

    def check(self) -> None:
        """Write what was gathered; raise the error that stopped the writing, if any."""
        self._gathered()
        if self.error is not None:
            raise self.error

    def _gathered(self) -> None:
        small, self._small = self._small, bytearray()
        if small:
            self._chunk(memoryview(bytes(small)))

    def note(self) -> FileNote:
        """Size and sha256 of what was written, once the hash has caught up."""
        self.check()
        while self._pending:
            self._pending.popleft().result()
        return FileNote(self.size, self._digest.hexdigest())

    def _chunk(self, view: memoryview) -> None:
        if self.error is not None:
            return
        try:
            self._hash(view)
            self._sink(view)
        except Exception as error:
            self.error = error
        self.size += len(view)

    def _hash(self, view: memoryview) -> None:
        """Small pieces here and now, large ones on the other thread (sha256 frees the GIL)."""
        if self._pool is None or (len(view) < ALONGSIDE and not self._pending):
            self._digest.update(view)
            return
        stays = self._steady is not None and self._steady(view)
        self._pending.append(self._pool.submit(self._digest.update, view if stays else bytes(view)))
        while len(self._pending) > MAX_PENDING:
            self._pending.popleft().result()

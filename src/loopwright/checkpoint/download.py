"""Fetch a checkpoint over https into a cache: size and sha256 checked before it has a name."""

from __future__ import annotations

import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopwright.checkpoint.errors import Broken, CheckpointError, Refused
from loopwright.checkpoint.manifest import SHA256, digest_of
from loopwright.files import Disk, open_regular, write_file

READ = 1 << 20
MAX_SIZE = 64 << 30


def fetch(
    url: str,
    *,
    sha256: str,
    cache: Path,
    timeout: float = 30.0,
    allow_http: bool = False,
    opener: Any = None,
) -> Path:
    """The local copy of a file on the web; downloaded once, atomically, and verified each time.

    `Refused` for anything but https (redirects included), `Broken` when the size or the digest is
    not the one promised. ``allow_http`` is for servers on the same machine.
    """
    schemes = ("https", "http") if allow_http else ("https",)
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise Refused(f"{url}: only https addresses are fetched")
    if not SHA256.fullmatch(sha256.lower()):
        raise CheckpointError(f"{url} needs the sha256 of the file, got {sha256!r}")
    name = Path(parts.path).name or "download"
    target = (
        cache / f"{sha256.lower()[:16]}-{''.join(c for c in name if c.isalnum() or c in '._-')}"
    )
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _download(url, target, timeout=timeout, schemes=schemes, opener=opener)
    with open_regular(target) as file:
        found = digest_of(file)
    if found != sha256.lower():
        target.unlink()
        raise Broken(f"{url} has the sha256 {found}, wanted {sha256}")
    return target


def _download(
    url: str, target: Path, *, timeout: float, schemes: tuple[str, ...], opener: Any
) -> None:
    """Into a temporary file beside the target, then renamed."""
    disk, tmp = Disk(), target.with_name(f".tmp-{target.name}-{uuid.uuid4().hex[:8]}")
    agent = opener or urllib.request.build_opener(_Redirects(schemes))
    try:
        with agent.open(url, timeout=timeout) as answer:
            promised = answer.headers.get("Content-Length")
            size = write_file(disk, tmp, _chunks(answer))
        if promised is not None and size != int(promised):
            raise Broken(f"{url} ended after {size} of {promised} bytes")
        disk.rename(tmp, target)
        disk.sync_folder(target.parent)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{url} could not be fetched: {error}") from error
    finally:
        tmp.unlink(missing_ok=True)


def _chunks(answer: Any) -> Iterator[bytes]:
    """The body, bounded."""
    total = 0
    while chunk := answer.read(READ):
        total += len(chunk)
        if total > MAX_SIZE:
            raise OSError(f"more than {MAX_SIZE >> 30} GB")
        yield chunk


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the same schemes only."""

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self.schemes = schemes

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str):  # type: ignore[no-untyped-def]
        """The request a redirect asks for; `Refused` when it leaves the schemes allowed."""
        if urllib.parse.urlsplit(newurl).scheme not in self.schemes:
            raise Refused(f"{req.full_url} leads to {newurl}: only https addresses are fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def digest(path: Path) -> str:
    """The sha256 of a file, for a config or a command line.

    >>> import tempfile
    >>> file = Path(tempfile.mktemp()); _ = file.write_bytes(b"abc")
    >>> digest(file)[:8]
    'ba7816bf'
    """
    with open_regular(path) as file:
        return digest_of(file)

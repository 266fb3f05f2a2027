"""MMEngine's file clients and storage backends: this machine's files."""

from __future__ import annotations

from typing import Any

from loopwright.compat import mm_files

__all__ = ["BaseStorageBackend", "FileClient", "HardDiskBackend", "LocalBackend"]
__all__ += ["get_file_backend"]

_LOCAL = ("local", "disk", "LocalBackend", "HardDiskBackend")


class BaseStorageBackend:
    """A base class for backends of one's own: ``get`` gives bytes, ``get_text`` a text."""

    @property
    def name(self) -> str:
        return type(self).__name__

    def get(self, filepath: Any) -> bytes:
        raise NotImplementedError(f"{self.name} must define get()")

    def get_text(self, filepath: Any) -> str:
        raise NotImplementedError(f"{self.name} must define get_text()")


class LocalBackend(BaseStorageBackend):
    """Files of this machine, by the functions of ``mmengine.fileio``.

    >>> LocalBackend().isdir("."), LocalBackend().join_path("a", "b")
    (True, 'a/b')
    """

    get = staticmethod(mm_files.get)
    get_text = staticmethod(mm_files.get_text)
    put = staticmethod(mm_files.put)
    put_text = staticmethod(mm_files.put_text)
    exists = staticmethod(mm_files.exists)
    isdir = staticmethod(mm_files.isdir)
    isfile = staticmethod(mm_files.isfile)
    join_path = staticmethod(mm_files.join_path)
    get_local_path = staticmethod(mm_files.get_local_path)
    copyfile = staticmethod(mm_files.copyfile)
    copytree = staticmethod(mm_files.copytree)
    remove = staticmethod(mm_files.remove)
    rmtree = staticmethod(mm_files.rmtree)
    list_dir_or_file = staticmethod(mm_files.list_dir_or_file)


HardDiskBackend = LocalBackend


def get_file_backend(
    uri: Any = None, *, backend_args: dict[str, Any] | None = None, enable_singleton: bool = False
) -> LocalBackend:
    """The backend of an address, which is the local one. Raises ValueError for another."""
    _check((backend_args or {}).get("backend"), uri)
    return LocalBackend()


class FileClient(LocalBackend):
    """MMEngine's older name of a backend: ``FileClient(backend="disk")``."""

    def __init__(self, backend: str | None = None, prefix: str | None = None, **how: Any) -> None:
        _check(backend, None if prefix is None else f"{prefix}://")

    @classmethod
    def infer_client(
        cls, file_client_args: dict[str, Any] | None = None, uri: Any = None
    ) -> FileClient:
        """The client of an address, which is the local one."""
        _check(None, uri)
        return cls(**(file_client_args or {}))


def _check(backend: str | None, uri: Any) -> None:
    if backend is not None and backend not in _LOCAL:
        raise ValueError(f"backend {backend!r} is not there: files are this machine's ('local')")
    if "://" in str(uri):
        raise ValueError(f"{uri}: files are this machine's, no addresses")

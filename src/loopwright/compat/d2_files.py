"""PathManager: detectron2's, fvcore's and iopath's file functions, for paths on this machine."""

from __future__ import annotations

import os
import shutil
from typing import Any

__all__ = ["PathManager"]


class _Local:
    """Opens, lists, makes and removes; ``~`` is the home folder, an address is refused.

    >>> PathManager.isdir("."), PathManager.exists("no/such/file")
    (True, False)
    """

    def open(self, path: str, mode: str = "r", **how: Any) -> Any:
        """The open file; text is UTF-8."""
        if "b" not in mode:
            how.setdefault("encoding", "utf-8")
        return open(_here(path), mode, **how)

    def exists(self, path: str) -> bool:
        return os.path.exists(_here(path))

    def isfile(self, path: str) -> bool:
        return os.path.isfile(_here(path))

    def isdir(self, path: str) -> bool:
        return os.path.isdir(_here(path))

    def ls(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        return sorted(os.listdir(_here(path)))

    def mkdirs(self, path: str) -> None:
        """Make a folder and those above it; one that is there stays."""
        os.makedirs(_here(path), exist_ok=True)

    def rm(self, path: str) -> None:
        """Remove a file."""
        os.remove(_here(path))

    def copy(self, src_path: str, dst_path: str, overwrite: bool = False) -> bool:
        """Copy a file; FileExistsError for one that is there, unless ``overwrite``."""
        if not overwrite and self.exists(dst_path):
            raise FileExistsError(f"{dst_path} is there: say overwrite=True")
        shutil.copyfile(_here(src_path), _here(dst_path))
        return True

    def get_local_path(self, path: str, **how: Any) -> str:
        """The path itself, for it is local."""
        return _here(path)


def _here(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if "://" in text:
        raise ValueError(f"{text}: PathManager reads this machine's files, no addresses")
    return os.path.expanduser(text)


PathManager = _Local()

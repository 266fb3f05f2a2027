"""Whose a file is on a disk that others use too, and folders that are one user's own."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def private_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder that only its user may enter (0700); one that is there stays as it is."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        os.makedirs(path, exist_ok=True)  # raises where it is no folder


def not_ours_alone(path: str | os.PathLike[str]) -> str | None:
    """Why somebody else may have changed a file or a folder of files, in words; None if nobody.

    Root may always; so may who owns it or may write to it, unless its folder is closed to all
    others.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "state.json").write_text("{}") and not_ours_alone(folder)
    """
    place = Path(path)
    if not place.exists():
        return None
    inside = sorted(place.iterdir()) if place.is_dir() else []
    for one in (place, *inside):
        found = os.stat(one, follow_symlinks=False)
        if found.st_uid not in (0, os.geteuid()):
            return f"{one} belongs to another user ({found.st_uid})"
    if os.stat(place.parent).st_mode & (stat.S_IXGRP | stat.S_IXOTH) == 0:
        return None
    for one in (place, *inside):
        found = os.stat(one, follow_symlinks=False)
        if found.st_mode & stat.S_IWOTH and not stat.S_ISLNK(found.st_mode):
            return f"{one} may be written by every user"
        if found.st_mode & stat.S_IWGRP and not _alone_in(found.st_gid):
            return f"{one} may be written by the group {found.st_gid}"
    return None


def _alone_in(group: int) -> bool:
    """Whether a group is this user's own, as many systems give each user one."""
    import grp
    import pwd

    try:
        entry, me = grp.getgrgid(group), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return entry.gr_gid == me.pw_gid and entry.gr_name == me.pw_name and not entry.gr_mem

"""Image files: names confined to their folder, links followed, decoded within a limit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm"})
MAX_PIXELS = 178_956_970  # where Pillow, too, speaks of a decompression bomb
_TURNED = frozenset({5, 6, 7, 8})
_ORIENTATION = 0x0112


class PathError(ValueError):
    """A file name that leads out of the folder it belongs to."""


class ImageError(ValueError):
    """An image file that cannot be read; says which and why."""


class Probe(NamedTuple):
    """What a file holds: width and height as stored, whether EXIF turns it, or what is wrong."""

    width: int
    height: int
    turned: bool
    fault: str


def confine(root: str | Path, name: str, *, outside: bool = False) -> Path:
    """The path of a file that an annotation names below ``root``.

    Links on the disk are followed wherever they lead (DVC, git-annex and shared disks make them);
    what is written in the name may not lead out: PathError, unless ``outside`` allows it.

    >>> confine("/data", "a/../b.jpg").as_posix()
    '/data/b.jpg'
    >>> confine("/data", "/data/b.jpg").as_posix()
    '/data/b.jpg'
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise PathError(f"not a file name: {name!r}")
    base = Path(root).resolve()
    # Normalised as text: behind a link, `..` would be the parent of what it points to.
    path = Path(os.path.normpath(base / name))
    if outside or path.is_relative_to(base):
        return path
    given = Path(os.path.abspath(root))
    if path.is_relative_to(given):
        return base / path.relative_to(given)
    raise PathError(f"{name!r} leads out of {base}; outside_files=True allows it")


def probe(path: str | Path, *, decode: bool = True, max_pixels: int = MAX_PIXELS) -> Probe:
    """See whether a file can be decoded; never raises for what is in it.

    Without ``decode`` only its head and its end are looked at: enough to find a file that is no
    image or is cut short, at a twentieth of the time.
    """
    try:
        with _open(Path(path), max_pixels) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            if decode:
                image.load()
            elif not _ends(Path(path), image.format):
                raise ImageError(f"{path} is cut short")
    except ImageError as error:
        return Probe(0, 0, False, str(error))
    except Exception as error:  # Pillow raises many kinds, struct and zlib errors among them
        return Probe(0, 0, False, f"{type(error).__name__}: {error}")
    return Probe(width, height, turned, "")


_LAST = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b";"}


def _ends(path: Path, kind: str | None) -> bool:
    """Whether the mark that ends such a file is among its last bytes."""
    mark = _LAST.get(kind or "")
    if mark is None:
        return True
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 256, 0))
        return mark in file.read()


def _open(path: Path, max_pixels: int) -> Any:
    from PIL import Image

    if path.stat().st_size == 0:
        raise ImageError(f"{path} has no bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(path)
    if image.size[0] * image.size[1] > max_pixels:
        image.close()
        raise ImageError(
            f"{path} says it has {image.size[0]} x {image.size[1]} pixels, more than the limit "
            f"of {max_pixels}"
        )
    return image


def image_files(folder: str | Path) -> list[str]:
    """The names of all image files below a folder, in order; links are followed."""
    base = Path(folder)
    found = (path for path in files_below(base) if path.suffix.lower() in SUFFIXES)
    return sorted(path.relative_to(base).as_posix() for path in found)


def files_below(folder: Path, *, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Every file below a folder, through links but those that lead back to where they are."""
    real = os.path.realpath(folder)
    if any(f"{one}/".startswith(f"{real.rstrip('/')}/") for one in above):
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from files_below(Path(entry.path), above=above | {real})
        elif entry.is_file():
            yield Path(entry.path)

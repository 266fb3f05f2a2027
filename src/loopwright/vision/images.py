"""Image files: names confined to their folder, decoded within a limit, faults named."""

from __future__ import annotations

import warnings
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


def confine(root: str | Path, name: str) -> Path:
    """The path of a name below ``root``, links followed. Raises PathError where it leads out.

    >>> confine("/data", "a/../b.jpg").as_posix()
    '/data/b.jpg'
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise PathError(f"not a file name: {name!r}")
    base = Path(root).resolve()
    path = (base / name).resolve()
    if Path(name).is_absolute() or not path.is_relative_to(base):
        raise PathError(f"{name!r} leads out of {base}")
    return path


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
    """The names of all image files below a folder, in order."""
    base = Path(folder)
    found = (path for path in base.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path.relative_to(base).as_posix() for path in found if path.is_file())

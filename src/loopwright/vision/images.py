"""Image files: names confined to their folder, decoded within a limit, faults named."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def probe(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Probe:
    """Decode a file once to see whether it can be; never raises for what is in it."""
    try:
        with _open(Path(path), max_pixels) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            image.load()
    except ImageError as error:
        return Probe(0, 0, False, str(error))
    except Exception as error:  # Pillow raises many kinds, struct and zlib errors among them
        return Probe(0, 0, False, f"{type(error).__name__}: {error}")
    return Probe(width, height, turned, "")


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


def read_image(
    path: str | Path, *, channels: int = 3, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """An image file as uint8 (H, W, 3), or (H, W) for ``channels=1``; 16-bit is scaled to 8.

    Raises ImageError, with the path, for a file that is missing, broken or too large.
    """
    try:
        with _open(Path(path), max_pixels) as image:
            if image.mode.startswith(("I", "F")):
                image = _to_eight_bits(image)
            return np.array(image.convert("RGB" if channels == 3 else "L"))
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"cannot read {path}: {type(error).__name__}: {error}") from error


def _to_eight_bits(image: Any) -> Any:
    from PIL import Image

    deep = np.array(image, np.float64)
    scale = 257.0 if deep.max(initial=0) > 255 else 1.0
    return Image.fromarray((deep / scale).clip(0, 255).astype(np.uint8))


def image_files(folder: str | Path) -> list[str]:
    """The names of all image files below a folder, in order."""
    base = Path(folder)
    found = (path for path in base.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path.relative_to(base).as_posix() for path in found if path.is_file())

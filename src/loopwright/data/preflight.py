"""A look at image files before a run: which are missing, empty or cut off."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from loopwright.data.faults import DataError, SampleError

MAX_PIXELS = 178_956_970  # what Pillow refuses as a decompression bomb

CHECKED = 20_000
_SHOWN = 5
_TAIL = 64
# how a whole file of a kind begins, and what is found near its end
_KINDS = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND"), (b"GIF8", b";"))


def broken_images(paths: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """``(place, path, what is wrong)`` for each file that is no whole image; about 20 µs a file.

    A file that looks odd is decoded before it is called broken.
    """
    for place, path in enumerate(paths):
        wrong = _wrong(path)
        if wrong is not None:
            yield place, path, wrong


def _wrong(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            head = file.read(24)
            if not head:
                return "empty"
            ends = [end for start, end in _KINDS if head.startswith(start)]
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            if ends and ends[0] in file.read() and _pixels(head) <= MAX_PIXELS:
                return None
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return _undecodable(path)


def _pixels(head: bytes) -> int:
    """Width times height, where the first bytes say it (PNG); else 0."""
    if not head.startswith(b"\x89PNG") or len(head) < 24:
        return 0
    width, height = struct.unpack(">II", head[16:24])
    return int(width * height)


def _undecodable(path: str) -> str | None:
    from loopwright.data.transforms.load import read_image

    try:
        read_image(path)
    except DataError as error:
        return str(error).partition(f"{path}: ")[2]
    except ImportError:
        return None
    return None


def stop_at_broken_images(dataset: Any, *, at_most: int | bool = CHECKED) -> None:
    """Raise SampleError, with counts and the first few, where a dataset names broken images.

    Looks at ``img_path`` of at most so many samples, evenly spread; True looks at all.
    """
    paths = _paths(dataset, len(dataset) if at_most is True else int(at_most))
    found = list(broken_images(paths.values()))
    if not found:
        return
    places = list(paths)
    shown = "".join(
        f"\n  sample {places[place]} ({path}): {wrong}" for place, path, wrong in found[:_SHOWN]
    )
    more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise SampleError(
        f"{len(found)} of {len(paths)} image files are broken:{shown}{more}\n"
        "set on_bad_sample='skip' to train without them, or check_images=False"
    )


def _paths(dataset: Any, at_most: int) -> dict[int, str]:
    length = len(dataset)
    if not at_most or not hasattr(dataset, "get_data_info"):
        return {}
    info = dataset.get_data_info(0)
    if not isinstance(info, dict) or not info.get("img_path") or "://" in str(info["img_path"]):
        return {}
    count = min(length, at_most)
    places = [i * length // count for i in range(count)]
    return {place: str(dataset.get_data_info(place)["img_path"]) for place in places}

"""Images and histograms waiting to be written: a short shelf of each, the oldest falling off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from loopwright.log.reading import is_tensor

__all__ = ["Histogram", "Picture", "Shelf", "summarise_histogram"]

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """An image as it was put: `pixels` has shape (C, H, W), unless `layout` says "HWC"."""

    name: str
    pixels: Any
    iter: int
    layout: str = "CHW"

    def array(self) -> Any:
        """The image as a uint8 numpy array of shape (H, W, C); read from its device here."""
        import numpy

        pixels = self.pixels
        if is_tensor(pixels):
            pixels = (pixels.float() if pixels.is_floating_point() else pixels).cpu().numpy()
        array = numpy.asarray(pixels)
        if array.ndim == 2:
            array = array[:, :, None]
        elif self.layout == "CHW":
            array = array.transpose(1, 2, 0)
        if numpy.issubdtype(array.dtype, numpy.floating):
            array = array * 255.0
        return numpy.clip(array, 0, 255).astype(numpy.uint8)


@dataclass(frozen=True)
class Histogram:
    """Counts in equal bins between `low` and `high`; numbers may still be on their device."""

    name: str
    counts: Any
    low: Any
    high: Any
    total: Any
    squares: Any
    number: int
    iter: int

    def numbers(self) -> tuple[list[float], float, float, float, float]:
        """Counts, low, high, sum and sum of squares as plain numbers; read here."""
        ends = (float(self.low), float(self.high), float(self.total), float(self.squares))
        return [float(c) for c in self.counts.tolist()], *ends


def summarise_histogram(name: str, values: Any, *, bins: int, iteration: int) -> Histogram | None:
    """Bin a tensor or array of any shape; None when it is empty or not finite throughout."""
    if is_tensor(values):
        flat = values.detach().flatten()
        flat = flat if flat.dtype.is_floating_point and flat.element_size() > 2 else flat.float()
        try:
            counts = flat.histc(bins)
        except (RuntimeError, ValueError):
            return None
    else:
        import numpy

        flat = numpy.asarray(values, dtype=float).ravel()
        if not numpy.isfinite(flat).all():
            return None
        counts = numpy.histogram(flat, bins=bins)[0] if flat.size else flat
    number = flat.numel() if is_tensor(flat) else flat.size
    if number == 0:
        return None
    low, high = flat.min(), flat.max()
    return Histogram(name, counts, low, high, flat.sum(), (flat * flat).sum(), number, iteration)


class Shelf(Generic[T]):
    """The last `size` things put, each with a running number so that readers know what is new."""

    def __init__(self, size: int = 16) -> None:
        self.size, self.number, self._cleared = size, 0, 0
        self._items: list[tuple[int, T, bool]] = []

    def put(self, item: T) -> int:
        """Take one more; returns how many unwritten ones fell off for it (0 or 1)."""
        self.number += 1
        self._items.append((self.number, item, False))
        lost = [read for _, _, read in self._items[: -self.size] if not read]
        del self._items[: -self.size]
        return len(lost)

    def since(self, number: int) -> Iterator[T]:
        """The kept things put after the running number `number`; they count as written then."""
        fresh = [item for n, item, _ in self._items if n > number]
        self._items = [(n, item, read or n > number) for n, item, read in self._items]
        return iter(fresh)

    def left(self) -> list[T]:
        """The kept things put since the last `clear`."""
        return list(self.since(self._cleared))

    def clear(self) -> None:
        """Leave what is here out of `left`; who goes by numbers still sees it."""
        self._cleared = self.number

    def __len__(self) -> int:
        return len(self._items)

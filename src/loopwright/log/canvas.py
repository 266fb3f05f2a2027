"""Canvas: an image that boxes, polygons, masks, lines, circles, points and texts are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from loopwright.log.writers.tracker import optional

__all__ = ["Canvas", "colour", "feature_map"]

Colour = str | tuple[int, int, int]
_LETTERS = {
    "b": (0, 0, 255),
    "g": (0, 128, 0),
    "r": (255, 0, 0),
    "c": (0, 191, 191),
    "m": (191, 0, 191),
    "y": (191, 191, 0),
    "k": (0, 0, 0),
    "w": (255, 255, 255),
}


def colour(value: Colour | Sequence[int]) -> tuple[int, int, int] | None:
    """A colour as (R, G, B) in 0-255: a letter, a name, `#rrggbb`, a triple; None for "none".

    >>> colour("r"), colour("#102030"), colour("none")
    ((255, 0, 0), (16, 32, 48), None)
    """
    if isinstance(value, str):
        if value == "none":
            return None
        if value in _LETTERS:
            return _LETTERS[value]
        rgb = optional("PIL.ImageColor", "loopwright[vision]").getrgb(value)
        return rgb[0], rgb[1], rgb[2]
    red, green, blue = (int(v) for v in value[:3])
    return red, green, blue


class Canvas:
    """Drawing on a uint8 RGB image of shape (H, W, 3); everything outside is clipped."""

    def __init__(self, image: Any) -> None:
        self._pil = optional("PIL.Image", "loopwright[vision]")
        self.image = self._pil.fromarray(as_rgb(image))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.height, self.image.width

    def array(self) -> np.ndarray:
        """A copy of the image, uint8 of shape (H, W, 3)."""
        return np.array(self.image)

    def _paint(self, alpha: float, paint: Callable[[Any, int], None]) -> None:
        """Draw on a transparent layer, then lay it over the image."""
        layer = self._pil.new("RGBA", self.image.size, (0, 0, 0, 0))
        draw = optional("PIL.ImageDraw", "loopwright[vision]").Draw(layer)
        paint(draw, round(255 * min(max(alpha, 0.0), 1.0)))
        self.image = self._pil.alpha_composite(self.image.convert("RGBA"), layer).convert("RGB")

    def polygon(
        self,
        points: np.ndarray,
        *,
        edge: Colour = "g",
        face: Colour = "none",
        width: float = 2,
        dashed: bool = False,
        alpha: float = 0.8,
    ) -> None:
        """A closed outline through points of shape (k, 2), filled when `face` is a colour."""
        corners = [(float(x), float(y)) for x, y in points]

        def paint(draw: Any, opacity: int) -> None:
            inside, outline = colour(face), colour(edge)
            if inside is not None:
                draw.polygon(corners, fill=(*inside, opacity))
            if outline is not None and width > 0:
                for start, end in _segments([*corners, corners[0]], dashed=dashed):
                    draw.line([start, end], fill=(*outline, opacity), width=max(round(width), 1))

        self._paint(alpha, paint)

    def line(self, points: np.ndarray, *, edge: Colour, width: float, dashed: bool) -> None:
        """An open line through points of shape (k, 2)."""
        corners = [(float(x), float(y)) for x, y in points]

        def paint(draw: Any, opacity: int) -> None:
            ink = colour(edge)
            for start, end in _segments(corners, dashed=dashed) if ink is not None else ():
                draw.line([start, end], fill=(*(ink or ()), opacity), width=max(round(width), 1))

        self._paint(1.0, paint)

    def circle(
        self,
        centre: Sequence[float],
        radius: float,
        *,
        edge: Colour,
        face: Colour,
        width: float = 2,
        alpha: float = 0.8,
    ) -> None:
        """A circle, filled when `face` is a colour."""
        x, y = float(centre[0]), float(centre[1])
        box = [x - radius, y - radius, x + radius, y + radius]

        def paint(draw: Any, opacity: int) -> None:
            inside, outline = colour(face), colour(edge)
            draw.ellipse(
                box,
                fill=None if inside is None else (*inside, opacity),
                outline=None if outline is None else (*outline, opacity),
                width=max(round(width), 1),
            )

        self._paint(alpha, paint)

    def mask(self, mask: np.ndarray, ink: Colour, alpha: float) -> None:
        """Tint the pixels of a bool mask of shape (H, W).

        Raises:
            ValueError: the mask has another size than the image.
        """
        if mask.shape != self.size:
            raise ValueError(f"mask of shape {mask.shape} on an image of size {self.size}")
        rgb, pixels = colour(ink), self.array().astype(np.float32)
        if rgb is not None:
            pixels[mask] = pixels[mask] * (1 - alpha) + np.array(rgb, np.float32) * alpha
        self.image = self._pil.fromarray(pixels.round().astype(np.uint8))

    def text(
        self,
        text: str,
        position: Sequence[float],
        *,
        size: float,
        ink: Colour = "g",
        vertical: str = "top",
        horizontal: str = "left",
        box: dict[str, Any] | None = None,
    ) -> None:
        """A text whose `vertical`/`horizontal` side lies at the position, on a box if given."""
        fonts = optional("PIL.ImageFont", "loopwright[vision]")
        font = fonts.load_default(max(float(size), 4.0))
        anchor = {"left": "l", "center": "m", "right": "r"}[horizontal]
        anchor += {"top": "a", "center": "m", "bottom": "d"}[vertical]
        place = (float(position[0]), float(position[1]))

        def paint(draw: Any, opacity: int) -> None:
            if "\n" in text or not hasattr(font, "getmask2"):
                corner, options = place, {}
            else:
                corner, options = place, {"anchor": anchor}
            if box is not None:
                back = colour(box.get("facecolor", "k")) or (0, 0, 0)
                bounds = draw.textbbox(corner, text, font=font, **options)
                draw.rectangle(bounds, fill=(*back, round(255 * float(box.get("alpha", 0.8)))))
            draw.text(
                corner, text, font=font, fill=(*(colour(ink) or (0, 0, 0)), opacity), **options
            )

        self._paint(1.0, paint)


def _segments(
    corners: Sequence[tuple[float, float]], *, dashed: bool
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The straight pieces of a line; of a dashed one every second stretch of 6 pixels."""
    pieces = list(pairwise(corners))
    if not dashed:
        return pieces
    dashes = []
    for (x0, y0), (x1, y1) in pieces:
        count = max(int(np.hypot(x1 - x0, y1 - y0) // 6), 1)
        steps = np.linspace(0.0, 1.0, count + 1)
        at = [(x0 + (x1 - x0) * float(s), y0 + (y1 - y0) * float(s)) for s in steps]
        dashes += list(zip(at[::2], at[1::2]))
    return dashes


def as_array(values: Any) -> np.ndarray:
    """A numpy array of a tensor, array or nested list."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def rows(values: Any, width: int, what: str) -> np.ndarray:
    """An array of shape (n, width); a single row may come bare.

    Raises:
        ValueError: another shape; `what` names it.
    """
    array = as_array(values).astype(float)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"{what} must have shape (n, {width}), got {array.shape}")
    return array


def each(value: Any, count: int) -> list[Any]:
    """One value for each of `count` things: a list is taken as it is, anything else repeated."""
    if isinstance(value, list):
        if len(value) < count:
            raise ValueError(f"{len(value)} values were given for {count} shapes")
        return value[:count]
    return [value] * count


def as_rgb(image: Any) -> np.ndarray:
    """An image of shape (H, W), (H, W, 1) or (H, W, 3) as contiguous uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    array = as_array(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3):
        raise ValueError(f"an image must have shape (H, W) or (H, W, 3), got {array.shape}")
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(np.clip(array, 0, 255).astype(np.uint8))


def heat(values: np.ndarray) -> np.ndarray:
    """Values of shape (H, W) from blue (smallest) over green to red (largest), uint8 RGB."""
    low, high = float(values.min()), float(values.max())
    level = (values - low) / ((high - low) or 1.0)
    bands = [np.clip(1.5 - np.abs(4 * level - peak), 0.0, 1.0) for peak in (3.0, 2.0, 1.0)]
    return (np.stack(bands, axis=-1) * 255).astype(np.uint8)


def feature_map(
    features: np.ndarray,
    *,
    under: np.ndarray | None,
    reduction: str | None,
    topk: int,
    arrangement: tuple[int, int],
    size: tuple[int, int] | None,
    alpha: float,
) -> np.ndarray:
    """Features of shape (C, H, W) as one heat map (their mean, the strongest) or a grid of `topk`.

    `size` is (height, width); `under` is an image laid below with weight 1 - alpha.
    """
    resize = (under.shape[0], under.shape[1]) if under is not None and size is None else size
    if reduction == "squeeze_mean":
        return _overlay(features.mean(axis=0), under, resize, alpha)
    strength = features.reshape(len(features), -1).sum(axis=1)
    if reduction == "select_max":
        return _overlay(features[int(strength.argmax())], under, resize, alpha)
    if reduction is not None:
        raise ValueError(
            f"channel_reduction must be 'squeeze_mean', 'select_max' or None, got {reduction!r}"
        )
    if topk <= 0:
        if len(features) not in (1, 3):
            raise ValueError(
                f"topk={topk} shows all channels and needs 1 or 3, got {len(features)}"
            )
        return _overlay(features.mean(axis=0), under, resize, alpha)
    rows, columns = arrangement
    if rows * columns < topk:
        raise ValueError(f"arrangement {arrangement} has no room for topk={topk} maps")
    best = np.argsort(-strength)[:topk]
    tiles = [_overlay(features[i], under, resize, alpha) for i in best]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (rows * columns - len(tiles))
    lines = [np.concatenate(tiles[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    return np.concatenate(lines, axis=0)


def _overlay(
    values: np.ndarray, under: np.ndarray | None, size: tuple[int, int] | None, alpha: float
) -> np.ndarray:
    library = optional("PIL.Image", "loopwright[vision]")
    picture = library.fromarray(heat(values.astype(np.float64)))
    if size is not None:
        picture = picture.resize((size[1], size[0]), library.Resampling.BILINEAR)
    if under is None:
        return np.array(picture)
    below = library.fromarray(as_rgb(under)).resize(picture.size, library.Resampling.BILINEAR)
    return np.array(library.blend(below, picture, alpha))

"""Pictures of what a model sees: masks and boxes over an image, the truth beside the prediction.

Everything takes tensors or arrays and gives an (H, W, 3) uint8 array; nothing is shown or saved but
by ``save``.

>>> import numpy as np
>>> mask = np.eye(8, dtype=int)
>>> picture = draw_seg(np.zeros((8, 8)), mask, 1 - mask, ("paper", "ink"))
>>> picture.shape[2], picture.dtype
(3, dtype('uint8'))
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
IGNORE = 255
_SMALLEST = 224
_LINE = 14
_LIGHT: Colour = (235, 238, 242)
_GREY: Colour = (96, 104, 112)


def to_array(value: Any) -> NDArray[Any]:
    """A tensor (on any device, of any float type), array or list as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.asarray(value)


def to_picture(image: Any, *, mean: Any = None, std: Any = None) -> Picture:
    """An image as (H, W, 3) uint8: from (H, W), (C, H, W) or (H, W, C) of 1 or 3 channels.

    Floats are taken as [0, 1] where they fit there, else as [0, 255] where they fit there, else
    stretched; ``mean`` and ``std`` (a number a channel) undo a normalisation first. Raises
    ValueError for another shape.
    """
    array = to_array(image)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or not {array.shape[0], array.shape[2]} & {1, 3, 4}:
        raise ValueError(f"an image must be (H, W), (C, H, W) or (H, W, C), got {array.shape}")
    if array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    array = array[..., :3]
    if mean is not None and std is not None:
        array = array * np.asarray(std) + np.asarray(mean)
    if array.dtype != np.uint8:
        array = _to_bytes(array.astype(np.float64))
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _to_bytes(array: NDArray[np.float64]) -> Picture:
    array = np.nan_to_num(array)
    low, high = (array.min(), array.max()) if array.size else (0.0, 0.0)
    if low >= -1e-3 and high <= 1 + 1e-3:
        array = array * 255
    elif low < 0 or high > 255:
        array = (array - low) / max(high - low, 1e-12) * 255
    return array.clip(0, 255).round().astype(np.uint8)


def palette_of(count: int, palette: Sequence[Sequence[int]] | None = None) -> list[Colour]:
    """``count`` colours: the given ones, then as many distinct ones as are missing.

    >>> palette_of(2, [(1, 2, 3)])[0]
    (1, 2, 3)
    """
    given = [(int(r), int(g), int(b)) for r, g, b in palette or []][:count]
    for number in range(len(given), count):
        hue = (number * 0.61803398875) % 1
        r, g, b = colorsys.hsv_to_rgb(hue, 0.75, 0.95)
        given.append((int(255 * r), int(255 * g), int(255 * b)))
    return given


def overlay(
    image: Any, mask: Any, palette: Sequence[Sequence[int]] | None = None, *, alpha: float = 0.6
) -> Picture:
    """A mask (H, W) of class numbers over its image; black classes and 255 stay see-through."""
    picture, classes = to_picture(image), to_array(mask).astype(np.int64)
    if classes.shape != picture.shape[:2]:
        raise ValueError(f"mask {classes.shape} is not of the image's size {picture.shape[:2]}")
    known = np.where(classes == IGNORE, 0, classes).clip(0)
    colours = np.array(palette_of(int(known.max(initial=0)) + 1, palette), np.float64)
    shown = (classes != IGNORE) & (classes >= 0) & colours[known].any(-1)
    mixed = (1 - alpha) * picture + alpha * colours[known]
    return np.where(shown[..., None], mixed, picture).round().astype(np.uint8)


def draw_boxes(
    image: Any,
    boxes: Any,
    labels: Any = None,
    scores: Any = None,
    *,
    classes: Sequence[str] = (),
    palette: Sequence[Sequence[int]] | None = None,
    scale: int = 1,
    width: int = 1,
) -> Picture:
    """xyxy boxes (k, 4) over an image that is enlarged ``scale`` times, with name and score.

    ``width`` is that of the lines, which lie inside the box.

    Boxes that are not finite are left out; the first are drawn last, so that of predictions in
    order of their scores the best is on top.
    """
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(enlarge(to_picture(image), scale))
    pen = ImageDraw.Draw(canvas)
    rows = to_array(boxes).astype(np.float64).reshape(-1, 4)
    names = to_array(labels).astype(int) if labels is not None else np.zeros(len(rows), int)
    colours = palette_of(max([len(classes), *(names + 1)], default=1), palette)
    for number in reversed(range(len(rows))):
        row = rows[number]
        if not np.isfinite(row).all():
            continue
        left, right = sorted(row[[0, 2]] * scale)
        top, bottom = sorted(row[[1, 3]] * scale)
        colour = colours[names[number]]
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), None, colour, width)
        text = _name(classes, names[number]) if labels is not None else ""
        if scores is not None:
            text = f"{text} {float(to_array(scores)[number]):.2f}".strip()
        if text:
            _tag(pen, text, left, top, colour, canvas.height)
    return np.asarray(canvas)


def _name(classes: Sequence[str], number: int) -> str:
    return str(classes[number]) if 0 <= number < len(classes) else str(number)


def _tag(pen: Any, text: str, left: float, top: float, colour: Colour, height: int) -> None:
    """A name on a patch of its colour, above the box where there is room."""
    width = pen.textlength(text) + 4
    y = top - 12 if top >= 12 else min(top, height - 12)
    pen.rectangle((left, y, left + width, y + 11), fill=colour)
    dark = sum(colour) > 380
    pen.text((left + 2, y), text, fill=(0, 0, 0) if dark else (255, 255, 255))


def enlarge(picture: Picture, times: int) -> Picture:
    """Each pixel ``times`` times as wide and high."""
    return picture if times <= 1 else picture.repeat(times, 0).repeat(times, 1)


def scale_for(height: int, width: int, smallest: int = _SMALLEST) -> int:
    """How many times an image is to be enlarged so that its longer side can be read.

    >>> scale_for(64, 64), scale_for(600, 800)
    (4, 1)
    """
    return max(1, -(-smallest // max(height, width, 1)))


def beside(panels: Sequence[tuple[str, Picture]]) -> Picture:
    """Pictures of one height side by side, each under its title."""
    from PIL import Image, ImageDraw

    gap = 4
    width = sum(picture.shape[1] for _, picture in panels) + gap * (len(panels) - 1)
    canvas = Image.new("RGB", (width, panels[0][1].shape[0] + _LINE), _LIGHT)
    pen, x = ImageDraw.Draw(canvas), 0
    for title, picture in panels:
        pen.text((x + 2, 1), title, fill=_GREY)
        canvas.paste(Image.fromarray(picture), (x, _LINE))
        x += picture.shape[1] + gap
    return np.asarray(canvas)


def legend(names: Sequence[tuple[str, Colour]], width: int) -> Picture:
    """A strip of colour patches and names, as many lines as they need."""
    from PIL import Image, ImageDraw

    places: list[tuple[int, int]] = []
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    x = y = 0
    for name, _ in names:
        step = 18 + int(measure.textlength(name)) + 8
        x, y = (x, y) if x + step <= width or x == 0 else (0, y + _LINE)
        places.append((x, y))
        x += step
    canvas = Image.new("RGB", (width, y + _LINE), _LIGHT)
    pen = ImageDraw.Draw(canvas)
    for (name, colour), (left, top) in zip(names, places):
        pen.rectangle((left + 2, top + 2, left + 13, top + _LINE - 3), fill=colour, outline=_GREY)
        pen.text((left + 18, top + 1), name, fill=_GREY)
    return np.asarray(canvas)


def draw_seg(
    image: Any,
    gt: Any = None,
    pred: Any = None,
    classes: Sequence[str] = (),
    palette: Sequence[Sequence[int]] | None = None,
) -> Picture:
    """The image, its true mask and the predicted one side by side, with a legend of what is there.

    Either mask may be None; masks are (H, W) of class numbers, 255 where the truth is unknown.
    """
    picture = to_picture(image)
    scale = scale_for(*picture.shape[:2])
    masks = {
        title: to_array(mask).reshape(picture.shape[:2])
        for title, mask in (("truth", gt), ("prediction", pred))
        if mask is not None
    }
    panels = [("image", enlarge(picture, scale))]
    panels += [(t, enlarge(overlay(picture, m, palette), scale)) for t, m in masks.items()]
    drawn = beside(panels)
    there = sorted({int(c) for mask in masks.values() for c in np.unique(mask)} - {IGNORE})
    colours = palette_of(max([len(classes), *(c + 1 for c in there)], default=0), palette)
    names = [(_name(classes, c), colours[c]) for c in there if c >= 0]
    return np.concatenate([drawn, legend(names, drawn.shape[1])]) if names else drawn


def draw_det(
    image: Any,
    gt: Mapping[str, Any] | None = None,
    pred: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
    palette: Sequence[Sequence[int]] | None = None,
    *,
    score_thr: float = 0.3,
) -> Picture:
    """True boxes beside predicted ones: each a dict of ``boxes``, ``labels`` and maybe ``scores``.

    Predictions under ``score_thr`` are left out.
    """
    picture = to_picture(image)
    scale = scale_for(*picture.shape[:2])
    panels: list[tuple[str, Picture]] = []
    for title, found in (("truth", gt), ("prediction", pred)):
        if found is None:
            continue
        boxes, labels = to_array(found["boxes"]).reshape(-1, 4), to_array(found["labels"])
        scores = found.get("scores")
        if scores is not None:
            scores = to_array(scores)
            kept = scores >= score_thr
            boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
        drawn = draw_boxes(
            picture, boxes, labels, scores, classes=classes, palette=palette, scale=scale
        )
        panels.append((title, drawn))
    return beside(panels or [("image", enlarge(picture, scale))])


def to_png(picture: Picture) -> bytes:
    """The picture as the bytes of a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def to_jpeg(picture: Picture) -> bytes:
    """The picture as the bytes of a JPEG file: a tenth of a PNG's for photographs."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def save(picture: Picture, path: str | Path) -> Path:
    """Write the picture as a PNG file, making its folder; gives the path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(to_png(picture))
    return target

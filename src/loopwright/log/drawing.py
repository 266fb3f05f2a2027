"""Drawing: MMEngine's drawing methods on one image; they know no backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from loopwright.log.canvas import Canvas, as_array, each, feature_map, rows
from loopwright.log.writers.tracker import optional

__all__ = ["Drawing"]


class Drawing:
    """One image and what is drawn on it; each drawing method returns the object itself.

    Colours are letters, names, `#rrggbb` or triples of 0-255; coordinates are pixels (x, y).

    Raises:
        RuntimeError: something is drawn before there is an image.
    """

    def __init__(self, image: Any = None) -> None:
        self._canvas: Canvas | None = None
        if image is not None:
            self.set_image(image)

    def set_image(self, image: Any) -> None:
        """Take an image of shape (H, W, 3) or (H, W), RGB, as the ground to draw on."""
        self._canvas = Canvas(image)

    def get_image(self) -> np.ndarray:
        """A copy of the drawn image, uint8 RGB of shape (H, W, 3)."""
        return self._ground().array()

    def draw_bboxes(
        self,
        bboxes: Any,
        edge_colors: Any = "g",
        line_styles: Any = "-",
        line_widths: Any = 2,
        face_colors: Any = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw boxes (x1, y1, x2, y2) of shape (n, 4) or (4,).

        Raises:
            ValueError: a box with reversed corners, or another shape.
        """
        boxes = rows(bboxes, 4, "bboxes")
        if (boxes[:, :2] > boxes[:, 2:]).any():
            raise ValueError(f"boxes must have x1 <= x2 and y1 <= y2, got {boxes.tolist()}")
        corners = [np.array([(a, b), (c, b), (c, d), (a, d)]) for a, b, c, d in boxes.tolist()]
        return self.draw_polygons(
            corners, edge_colors, line_styles, line_widths, face_colors, alpha
        )

    def draw_polygons(
        self,
        polygons: Any,
        edge_colors: Any = "g",
        line_styles: Any = "-",
        line_widths: Any = 2,
        face_colors: Any = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw one polygon of shape (k, 2) or a list of them."""
        shapes = polygons if isinstance(polygons, (list, tuple)) else [polygons]
        count = len(shapes)
        options = zip(
            each(edge_colors, count),
            each(line_styles, count),
            each(line_widths, count),
            each(face_colors, count),
        )
        for shape, (edge, style, width, face) in zip(shapes, options):
            points = rows(shape, 2, "polygon")
            self._ground().polygon(
                points, edge=edge, face=face, width=width, dashed=style != "-", alpha=alpha
            )
        return self

    def draw_binary_masks(self, binary_masks: Any, colors: Any = "g", alphas: Any = 0.8) -> Self:
        """Tint bool masks of shape (n, H, W) or (H, W)."""
        masks = as_array(binary_masks).astype(bool)
        masks = masks[None] if masks.ndim == 2 else masks
        options = zip(each(colors, len(masks)), each(alphas, len(masks)))
        for mask, (ink, alpha) in zip(masks, options):
            self._ground().mask(mask, ink, alpha)
        return self

    def draw_texts(
        self,
        texts: str | Sequence[str],
        positions: Any,
        font_sizes: Any = None,
        colors: Any = "g",
        vertical_alignments: Any = "top",
        horizontal_alignments: Any = "left",
        font_families: Any = "sans-serif",
        bboxes: Any = None,
        font_properties: Any = None,
    ) -> Self:
        """Write texts at positions of shape (n, 2); `bboxes` dicts give a `facecolor` and `alpha`.

        The font is Pillow's own: `font_families` and `font_properties` are accepted and not used.
        """
        words = [texts] if isinstance(texts, str) else list(texts)
        places, count = rows(positions, 2, "positions"), len(words)
        if len(places) != count:
            raise ValueError(f"{count} texts came with {len(places)} positions")
        usual = max(self._ground().size[0] / 25, 10)
        options = zip(
            each(usual if font_sizes is None else font_sizes, count),
            each(colors, count),
            each(vertical_alignments, count),
            each(horizontal_alignments, count),
            each(bboxes, count),
        )
        for text, place, (size, ink, vertical, horizontal, box) in zip(words, places, options):
            self._ground().text(
                text, place, size=size, ink=ink, vertical=vertical, horizontal=horizontal, box=box
            )
        return self

    def draw_lines(
        self,
        x_datas: Any,
        y_datas: Any,
        colors: Any = "g",
        line_styles: Any = "-",
        line_widths: Any = 2,
    ) -> Self:
        """Draw lines from x and y of shape (n, 2) or (2,) each: (start, end)."""
        xs, ys = rows(x_datas, 2, "x_datas"), rows(y_datas, 2, "y_datas")
        if xs.shape != ys.shape:
            raise ValueError(f"x_datas and y_datas differ in shape: {xs.shape}, {ys.shape}")
        count = len(xs)
        options = zip(each(colors, count), each(line_styles, count), each(line_widths, count))
        for x, y, (ink, style, width) in zip(xs, ys, options):
            points = np.stack([x, y], axis=1)
            self._ground().line(points, edge=ink, width=width, dashed=style != "-")
        return self

    def draw_circles(
        self,
        center: Any,
        radius: Any,
        edge_colors: Any = "g",
        line_styles: Any = "-",
        line_widths: Any = 2,
        face_colors: Any = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw circles with centres of shape (n, 2) and radii of shape (n,), in pixels.

        Their lines are whole: `line_styles` is accepted and not used.
        """
        centres, radii = rows(center, 2, "center"), as_array(radius).reshape(-1)
        if len(centres) != len(radii):
            raise ValueError(f"{len(centres)} centres came with {len(radii)} radii")
        count = len(centres)
        options = zip(each(edge_colors, count), each(line_widths, count), each(face_colors, count))
        for centre, size, (edge, width, face) in zip(centres, radii, options):
            self._ground().circle(
                centre, float(size), edge=edge, face=face, width=width, alpha=alpha
            )
        return self

    def draw_points(
        self, positions: Any, colors: Any = "g", marker: str | None = None, sizes: Any = None
    ) -> Self:
        """Draw dots at positions of shape (n, 2); `sizes` are areas in square points."""
        places = rows(positions, 2, "positions")
        areas = [20.0] * len(places) if sizes is None else as_array(sizes).reshape(-1).tolist()
        for place, area, ink in zip(places, each(areas, len(places)), each(colors, len(places))):
            radius = max(float(area) ** 0.5 / 2, 1.0)
            self._ground().circle(place, radius, edge="none", face=ink, alpha=1.0)
        return self

    @staticmethod
    def draw_featmap(
        featmap: Any,
        overlaid_image: Any = None,
        channel_reduction: str | None = "squeeze_mean",
        topk: int = 20,
        arrangement: tuple[int, int] = (4, 5),
        resize_shape: tuple[int, int] | None = None,
        alpha: float = 0.5,
    ) -> np.ndarray:
        """A feature map of shape (C, H, W) as an RGB heat map, over an image when one is given."""
        features = as_array(featmap)
        if features.ndim != 3:
            raise ValueError(f"featmap must have shape (C, H, W), got {features.shape}")
        return feature_map(
            features,
            under=None if overlaid_image is None else as_array(overlaid_image),
            reduction=channel_reduction,
            topk=topk,
            arrangement=arrangement,
            size=resize_shape,
            alpha=alpha,
        )

    def show(
        self,
        drawn_img: Any = None,
        win_name: str = "image",
        wait_time: float = 0.0,
        continue_key: str = " ",
        backend: str = "matplotlib",
    ) -> None:
        """Show the image in a matplotlib window for `wait_time` seconds (0: until it is closed).

        `continue_key` and `backend` are accepted and not used.
        """
        pyplot = optional("matplotlib.pyplot", "loopwright[plots]")
        figure = pyplot.figure(win_name, frameon=False)
        pyplot.imshow(self.get_image() if drawn_img is None else as_array(drawn_img))
        pyplot.axis("off")
        pyplot.show(block=not wait_time)
        if wait_time:
            pyplot.pause(wait_time)
        pyplot.close(figure)

    def _ground(self) -> Canvas:
        if self._canvas is None:
            raise RuntimeError("call set_image(image) before drawing")
        return self._canvas

"""Visualizer: MMEngine's drawing methods on one image, and its storage methods over the writers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.log.backends import BaseVisBackend
from loopwright.log.draw import Canvas, as_array, each, feature_map, rows
from loopwright.log.instances import Named
from loopwright.log.record import LogRecord
from loopwright.log.writers.base import WriterSet
from loopwright.log.writers.tracker import optional
from loopwright.registry import VISBACKENDS, VISUALIZERS

__all__ = ["Visualizer"]


@VISUALIZERS.register_module()
class Visualizer(Named):
    """Draws on an image and hands images, scalars and records to `vis_backends`.

    Colours are letters, names, `#rrggbb` or triples of 0-255; coordinates are pixels (x, y).
    Drawing methods return the visualizer. A backend that fails is dropped with one warning.

    >>> import numpy
    >>> visualizer = Visualizer(image=numpy.zeros((8, 8, 3), dtype="uint8"))
    >>> visualizer.draw_bboxes([1, 1, 6, 6], edge_colors="r", alpha=1).get_image()[1, 3].tolist()
    [255, 0, 0]
    """

    def __init__(
        self,
        name: str = "visualizer",
        image: Any = None,
        vis_backends: Any = None,
        save_dir: str | os.PathLike[str] | None = None,
        dataset_meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.instance_name = name
        self.dataset_meta = dataset_meta
        self._canvas: Canvas | None = None
        self._backends = WriterSet()
        folder = None if save_dir is None else Path(save_dir) / "vis_data"
        for key, backend in _built(vis_backends, folder):
            if key in self._backends.writers:
                raise ValueError(f"two vis backends are called {key!r}: give one a 'name'")
            self._backends.writers[key] = backend
        if image is not None:
            self.set_image(image)

    # -- drawing ---------------------------------------------------------------------------------

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
    ) -> Visualizer:
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
    ) -> Visualizer:
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

    def draw_binary_masks(
        self, binary_masks: Any, colors: Any = "g", alphas: Any = 0.8
    ) -> Visualizer:
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
    ) -> Visualizer:
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
    ) -> Visualizer:
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
    ) -> Visualizer:
        """Draw circles with centres of shape (n, 2) and radii of shape (n,)."""
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
    ) -> Visualizer:
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
        """Show the image in a matplotlib window for `wait_time` seconds (0: until it is closed)."""
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

    # -- storing ---------------------------------------------------------------------------------

    def write(self, record: LogRecord) -> None:
        """Hand a record to every backend."""
        self._backends.write(record)

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Keep the config."""
        self._backends.call("add_config", config, **kwargs)

    def add_graph(self, model: Any, data_batch: Any, **kwargs: Any) -> None:
        """Keep the model."""
        self._backends.call("add_graph", model, data_batch, **kwargs)

    def add_image(self, name: str, image: Any, step: int = 0) -> None:
        """Keep an RGB image of shape (H, W, 3)."""
        self._backends.call("add_image", name, as_array(image), step)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Keep one number."""
        self._backends.call("add_scalar", name, value, step, **kwargs)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep several numbers of one step."""
        self._backends.call("add_scalars", scalar_dict, step, file_path, **kwargs)

    def add_datasample(
        self,
        name: str,
        image: Any,
        data_sample: Any = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        step: int = 0,
    ) -> None:
        """Keep the image with the sample's boxes on it: truth green, prediction red.

        Subclasses that know their task override this.
        """
        self.set_image(image)
        for wanted, key, ink in ((draw_gt, "gt", "g"), (draw_pred, "pred", "r")):
            boxes = _boxes(data_sample, f"{key}_instances")
            if wanted and boxes is not None and len(boxes):
                self.draw_bboxes(boxes, edge_colors=ink)
        self.add_image(name, self.get_image(), step)

    def get_backend(self, name: str) -> BaseVisBackend:
        """The backend of that name (its class name unless its config gave one)."""
        found = self._backends.writers.get(name)
        if found is None:
            have = ", ".join(self._backends.writers) or "none"
            raise KeyError(f"no vis backend {name!r}; there are: {have}")
        return found  # type: ignore[return-value]

    def close(self) -> None:
        """Close every backend."""
        self._backends.close()

    def state_dict(self) -> dict[str, Any]:
        """The backends' states (byte offsets, run ids)."""
        return self._backends.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the backends where the checkpoint was."""
        self._backends.load_state_dict(state)


def _built(vis_backends: Any, folder: Path | None) -> list[tuple[str, Any]]:
    """(name, backend) of each entry: a config, a name, or a built backend."""
    entries = vis_backends if isinstance(vis_backends, (list, tuple)) else [vis_backends]
    backends = []
    for entry in entries:
        if entry is None:
            continue
        name = None
        if isinstance(entry, str):
            entry = {"type": entry}
        if isinstance(entry, Mapping):
            name = entry.get("name")
            entry = {key: value for key, value in entry.items() if key != "name"}
            defaults = {} if folder is None else {"save_dir": str(folder)}
            entry = VISBACKENDS.build(entry, **defaults)
        backends.append((name or type(entry).__name__, entry))
    return backends


def _boxes(sample: Any, key: str) -> Any:
    part = sample.get(key) if isinstance(sample, Mapping) else getattr(sample, key, None)
    if part is None:
        return None
    return part.get("bboxes") if isinstance(part, Mapping) else getattr(part, "bboxes", None)

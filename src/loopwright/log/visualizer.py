"""Visualizer: a drawing, and MMEngine's storage methods over the writers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.log.backends import BaseVisBackend
from loopwright.log.canvas import as_array
from loopwright.log.drawing import Drawing
from loopwright.log.instances import Named
from loopwright.log.record import LogRecord
from loopwright.log.writers.base import WriterSet
from loopwright.registry import VISBACKENDS, VISUALIZERS

__all__ = ["Visualizer"]


@VISUALIZERS.register_module()
class Visualizer(Drawing, Named):
    """Draws on an image and hands images, scalars and records to `vis_backends`.

    The drawing methods are those of `Drawing`. A backend that fails is dropped with one warning.

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
        super().__init__(image)
        self.instance_name = name
        self.dataset_meta = dataset_meta
        self._backends = WriterSet()
        folder = None if save_dir is None else Path(save_dir) / "vis_data"
        for key, backend in _built(vis_backends, folder):
            if key in self._backends.writers:
                raise ValueError(f"two vis backends are called {key!r}: give one a 'name'")
            self._backends.writers[key] = backend

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

        `show` also opens a window for `wait_time` seconds (0: until it is closed). Subclasses that
        know their task override this.
        """
        self.set_image(image)
        for wanted, key, ink in ((draw_gt, "gt", "g"), (draw_pred, "pred", "r")):
            boxes = _boxes(data_sample, f"{key}_instances")
            if wanted and boxes is not None and len(boxes):
                self.draw_bboxes(boxes, edge_colors=ink)
        self.add_image(name, self.get_image(), step)
        if show:
            self.show(win_name=name, wait_time=wait_time)

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

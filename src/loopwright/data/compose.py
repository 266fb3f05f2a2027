"""A pipeline: transforms called one after another on a sample's dict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loopwright.data.faults import DataError
from loopwright.registry import TRANSFORMS

Transform = Callable[[Any], Any]


def build_transform(cfg: Any) -> Transform:
    """A transform from a config dict, or a callable as it is.

    ``type="TorchVision/Name"`` takes torchvision.transforms.v2's, ``type="Albu"`` albumentations'.
    """
    if isinstance(cfg, dict):
        kind = cfg.get("type")
        if isinstance(kind, str) and kind.lower().startswith("torchvision/"):
            from loopwright.data.transforms.outside import TorchVision

            arguments = {key: value for key, value in cfg.items() if key != "type"}
            return TorchVision(kind.partition("/")[2], **arguments)
        built: Transform = TRANSFORMS.build(cfg)
        return built
    if callable(cfg):
        return cfg
    raise DataError(f"a transform is a dict with 'type' or a callable, got {cfg!r}")


class Compose:
    """Transforms in a row; one that gives None ends the row with None (the sample is left out).

    A transform with ``mix_with(dataset) -> indices`` (mosaic, mix-up) is handed those samples, run
    through the transforms before it, under ``mix_results``.

    >>> Compose([lambda sample: {**sample, "seen": True}])({"x": 1})
    {'x': 1, 'seen': True}
    """

    def __init__(self, transforms: Sequence[Any] | None = None) -> None:
        self.transforms = [build_transform(cfg) for cfg in transforms or ()]
        self.mixes = any(hasattr(transform, "mix_with") for transform in self.transforms)

    def __call__(self, data: Any) -> Any:
        if self.mixes:
            return self._mixed(data, data.pop("dataset", None), len(self.transforms))
        for transform in self.transforms:
            data = transform(data)
            if data is None:
                return None
        return data

    def _mixed(self, data: Any, dataset: Any, until: int) -> Any:
        for place, transform in enumerate(self.transforms[:until]):
            if hasattr(transform, "mix_with"):
                if dataset is None:
                    raise DataError(f"{type(transform).__name__} needs a dataset to mix from")
                others = transform.mix_with(dataset)
                infos = (dataset.get_data_info(index) for index in others)
                data["mix_results"] = [self._mixed(info, dataset, place) for info in infos]
            data = transform(data)
            if data is None:
                return None
        return data

    def __repr__(self) -> str:
        inside = "".join(f"\n    {transform!r}" for transform in self.transforms)
        return f"Compose({inside}\n)"

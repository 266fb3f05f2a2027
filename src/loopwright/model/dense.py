"""Data preprocessors for masks, boxes and several views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from loopwright.model.preprocessor import (
    ImgDataPreprocessor,
    pad_to,
    split_inputs,
)
from loopwright.registry import MODELS

_MASKS = ("gt_sem_seg", "gt_seg_map", "masks", "mask")


@MODELS.register_module()
class SegDataPreProcessor(ImgDataPreprocessor):
    """Images as `ImgDataPreprocessor`, to at least `size`; masks padded along with `seg_pad_val`.

    Masks are `data_samples` itself (a tensor or a list of (H, W)), or in dicts under `gt_sem_seg`.

    >>> import torch
    >>> pre = SegDataPreProcessor(size=(4, 4))
    >>> out = pre({"inputs": [torch.ones(1, 2, 3)], "data_samples": [torch.zeros(2, 3)]})
    >>> out["inputs"].shape, out["data_samples"][0][-1].tolist()
    (torch.Size([1, 1, 4, 4]), [255.0, 255.0, 255.0, 255.0])
    """

    def __init__(
        self,
        mean: Any = None,
        std: Any = None,
        size: tuple[int, int] | None = None,
        size_divisor: int | None = None,
        pad_val: float = 0,
        seg_pad_val: int = 255,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(
            mean, std, size_divisor or 1, pad_val, bgr_to_rgb, rgb_to_bgr, non_blocking
        )
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.seg_pad_val = seg_pad_val

    def forward(self, data: Any, training: bool = False) -> Any:
        inputs, put_back = split_inputs(self.cast_data(data))
        batch = self.images(inputs)
        if self.size is not None:
            height, width = (max(a, b) for a, b in zip(self.size, batch.shape[-2:], strict=True))
            batch = pad_to(batch, height, width, self.pad_value)
        return _with_samples(put_back(batch), lambda samples: self._padded_masks(samples, batch))

    def _padded_masks(self, samples: Any, batch: Tensor) -> Any:
        size = (batch.shape[-2], batch.shape[-1])
        if isinstance(samples, Tensor):
            return pad_to(samples, *size, self.seg_pad_val)
        if isinstance(samples, Mapping):
            return {
                key: self._padded_masks(value, batch) if key in _MASKS else value
                for key, value in samples.items()
            }
        if isinstance(samples, list | tuple):
            return [self._padded_masks(sample, batch) for sample in samples]
        return samples


@MODELS.register_module()
class DetDataPreprocessor(ImgDataPreprocessor):
    """Images as `ImgDataPreprocessor`; dicts in `data_samples` learn `img_shape` and padded sizes.

    Boxes stay as they are: padding is right and below. With `pad_mask`, `masks` are padded with
    `mask_pad_value`.
    """

    def __init__(
        self,
        mean: Any = None,
        std: Any = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        pad_mask: bool = False,
        mask_pad_value: int = 0,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(
            mean, std, pad_size_divisor, pad_value, bgr_to_rgb, rgb_to_bgr, non_blocking
        )
        self.pad_mask, self.mask_pad_value = pad_mask, mask_pad_value

    def forward(self, data: Any, training: bool = False) -> Any:
        inputs, put_back = split_inputs(self.cast_data(data))
        shapes = [tuple(image.shape[-2:]) for image in inputs]
        batch = self.images(inputs)
        return _with_samples(put_back(batch), lambda s: self._told(s, shapes, batch))

    def _told(self, samples: Any, shapes: list[tuple[int, ...]], batch: Tensor) -> Any:
        if not isinstance(samples, list | tuple):
            return samples
        whole = (batch.shape[-2], batch.shape[-1])
        told = []
        for sample, shape in zip(samples, shapes, strict=True):
            if not isinstance(sample, Mapping):
                told.append(sample)
                continue
            known = {"img_shape": shape, "batch_input_shape": whole, "pad_shape": whole}
            told.append({**sample, **self._masks(sample, whole), **known})
        return told

    def _masks(self, sample: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
        masks = sample.get("masks")
        if not self.pad_mask or not isinstance(masks, Tensor):
            return {}
        return {"masks": pad_to(masks, *size, self.mask_pad_value)}


@MODELS.register_module()
class SelfSupDataPreprocessor(ImgDataPreprocessor):
    """Images as `ImgDataPreprocessor`, for a list of views: `inputs` is one batch a view.

    >>> import torch
    >>> views = [torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)]
    >>> [view.shape[0] for view in SelfSupDataPreprocessor()({"inputs": views})["inputs"]]
    [2, 2]
    """

    def forward(self, data: Any, training: bool = False) -> Any:
        inputs, put_back = split_inputs(self.cast_data(data))
        if isinstance(inputs, list | tuple) and not _is_image(inputs[0]):
            return put_back([self.images(view) for view in inputs])
        return put_back(self.images(inputs))


def _is_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 3


def _with_samples(data: Any, change: Any) -> Any:
    """The batch with its truths changed."""
    if isinstance(data, Mapping):
        samples = data.get("data_samples")
        return data if samples is None else {**data, "data_samples": change(samples)}
    if isinstance(data, tuple) and len(data) > 1:
        return (data[0], change(data[1]), *data[2:])
    return data

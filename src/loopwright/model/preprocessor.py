"""Data preprocessors: a batch as it comes from the loader to what a model's forward takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopwright.registry import MODELS


@MODELS.register_module()
class BaseDataPreprocessor(nn.Module):
    """Moves a batch, however nested, to the model's device.

    `non_blocking` lets copies from pinned memory run beside the device's work.

    >>> BaseDataPreprocessor()({"inputs": [torch.zeros(1)], "name": "a"})
    {'inputs': [tensor([0.])], 'name': 'a'}
    """

    def __init__(self, non_blocking: bool | None = False) -> None:
        super().__init__()
        self._non_blocking = bool(non_blocking)
        self._device = torch.device("cpu")

    @property
    def device(self) -> torch.device:
        """Where the data goes: where the module was last moved to."""
        return self._device

    def _apply(self, fn: Any, recurse: bool = True) -> BaseDataPreprocessor:
        super()._apply(fn, recurse)
        self._device = fn(torch.empty(0, device=self._device)).device
        return self

    def cast_data(self, data: Any) -> Any:
        """The same data with everything that can move on this module's device."""
        return to_device(data, self._device, non_blocking=self._non_blocking)

    def forward(self, data: Any, training: bool = False) -> Any:
        return to_device(data, self._device, non_blocking=self._non_blocking)


def to_device(data: Any, device: torch.device, *, non_blocking: bool = False) -> Any:
    """Nested data with its tensors, and what else has a `to`, on a device."""
    if isinstance(data, Tensor):
        return data if data.device == device else data.to(device, non_blocking=non_blocking)
    if data is None or isinstance(data, str | bytes | int | float):
        return data
    if isinstance(data, dict) and type(data) is dict:
        return {k: to_device(v, device, non_blocking=non_blocking) for k, v in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(to_device(v, device, non_blocking=non_blocking) for v in data))
    if isinstance(data, list | tuple):
        return type(data)(to_device(v, device, non_blocking=non_blocking) for v in data)
    to = getattr(data, "to", None)
    if callable(to):
        return to(device, non_blocking=non_blocking)
    if isinstance(data, Mapping):
        moved = {k: to_device(v, device, non_blocking=non_blocking) for k, v in data.items()}
        return type(data)(moved)  # type: ignore[call-arg]
    return data


@MODELS.register_module()
class ImgDataPreprocessor(BaseDataPreprocessor):
    """Images to one float batch: channels turned round, normalised, padded right and below.

    `mean` and `std` are one number or one a channel, in the images' own scale, both or neither.
    Sizes become multiples of `pad_size_divisor`; what is added is `pad_value`, put in after
    normalising. Takes `dict(inputs=...)` or `(inputs, ...)`, with `inputs` a list of (C, H, W) or
    one (N, C, H, W).

    >>> pre = ImgDataPreprocessor(mean=[1.0], std=[2.0], pad_size_divisor=4)
    >>> pre({"inputs": [torch.ones(3, 3, 5), torch.ones(3, 2, 2)]})["inputs"].shape
    torch.Size([2, 3, 4, 8])
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        non_blocking: bool | None = False,
    ) -> None:
        super().__init__(non_blocking)
        if bgr_to_rgb and rgb_to_bgr:
            raise ValueError("bgr_to_rgb and rgb_to_bgr are the same turn: set one of them")
        if (mean is None) != (std is None):
            raise ValueError(f"mean and std go together, got mean={mean!r} and std={std!r}")
        self._enable_normalize = mean is not None
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", _per_channel("mean", mean), persistent=False)
        self.register_buffer("std", _per_channel("std", std), persistent=False)
        self.pad_size_divisor = pad_size_divisor
        self.pad_value = pad_value
        self._channel_conversion = bgr_to_rgb or rgb_to_bgr

    def forward(self, data: Any, training: bool = False) -> Any:
        inputs, put_back = split_inputs(self.cast_data(data))
        return put_back(self.images(inputs))

    def images(self, inputs: Any) -> Tensor:
        """(N, C, H, W) of a list of (C, H, W) or of a batch."""
        if isinstance(inputs, Tensor) and inputs.ndim == 4:
            return pad_to(self.normalise(inputs), *self._padded(inputs.shape), self.pad_value)
        if not isinstance(inputs, list | tuple) or not all(_is_image(image) for image in inputs):
            raise TypeError(
                "inputs must be a list of (C, H, W) tensors or one (N, C, H, W) tensor, got "
                f"{_shapes(inputs)}"
            )
        return stack_batch(
            [self.normalise(image) for image in inputs], self.pad_size_divisor, self.pad_value
        )

    def normalise(self, image: Tensor) -> Tensor:
        """An image or batch (..., C, H, W) as float, its channels turned round, normalised."""
        if self._channel_conversion and image.shape[-3] == 3:
            image = image.flip(-3)
        image = image.float()
        if not self._enable_normalize:
            return image
        if len(self.mean) not in (1, image.shape[-3]):
            raise ValueError(
                f"mean has {len(self.mean)} channels, the image of shape {tuple(image.shape)} "
                f"has {image.shape[-3]}"
            )
        return (image - self.mean) / self.std

    def _padded(self, shape: Sequence[int]) -> tuple[int, int]:
        divisor = self.pad_size_divisor
        return ceil_to(shape[-2], divisor), ceil_to(shape[-1], divisor)


def ceil_to(size: int, divisor: int) -> int:
    """The least multiple of `divisor` that is not below `size`."""
    return math.ceil(size / divisor) * divisor


def pad_to(image: Tensor, height: int, width: int, value: float = 0) -> Tensor:
    """An image (..., H, W) padded right and below."""
    below, right = height - image.shape[-2], width - image.shape[-1]
    if below == 0 and right == 0:
        return image
    return functional.pad(image, (0, right, 0, below), value=value)


def stack_batch(
    tensor_list: Sequence[Tensor], pad_size_divisor: int = 1, pad_value: float = 0
) -> Tensor:
    """Images (C, H, W) of any size as one batch, each padded right and below."""
    height = ceil_to(max(image.shape[-2] for image in tensor_list), pad_size_divisor)
    width = ceil_to(max(image.shape[-1] for image in tensor_list), pad_size_divisor)
    return torch.stack([pad_to(image, height, width, pad_value) for image in tensor_list])


def split_inputs(data: Any) -> tuple[Any, Any]:
    """The images of a batch, and a function that gives the batch with others in their place."""
    if isinstance(data, Mapping):
        if "inputs" not in data:
            raise KeyError(f"the batch has no 'inputs', it has {', '.join(map(str, data))}")
        return data["inputs"], lambda new: {**data, "inputs": new, **_no_samples(data)}
    if isinstance(data, list | tuple) and data:
        return data[0], lambda new: (new, *data[1:])
    return data, lambda new: new


def _no_samples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {} if "data_samples" in data else {"data_samples": None}


def _per_channel(name: str, values: Sequence[float] | None) -> Tensor | None:
    if values is None:
        return None
    if isinstance(values, int | float):
        values = [values]
    if name == "std" and any(v == 0 for v in values):
        raise ValueError(f"std divides the images and may not be 0, got {list(values)}")
    return torch.tensor(list(values), dtype=torch.float32).view(-1, 1, 1)


def _is_image(image: Any) -> bool:
    return isinstance(image, Tensor) and image.ndim == 3


def _shapes(inputs: Any) -> str:
    if isinstance(inputs, Tensor):
        return f"a tensor of shape {tuple(inputs.shape)}"
    if isinstance(inputs, list | tuple):
        return "a list of " + ", ".join(
            str(tuple(i.shape)) if isinstance(i, Tensor) else type(i).__name__ for i in inputs[:4]
        )
    return f"a {type(inputs).__name__}"

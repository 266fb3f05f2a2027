"""What the small models share: batches of images, truths in any of their forms, small layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from loopwright.core.nearest import did_you_mean


def as_batch(inputs: Any) -> Tensor:
    """(N, C, H, W) of a batch or of a list of equally large (C, H, W).

    Raises ValueError for images of different size, with the way out.
    """
    if isinstance(inputs, Tensor):
        return inputs
    shapes = {tuple(image.shape) for image in inputs}
    if len(shapes) > 1:
        raise ValueError(
            f"images of different size in one batch: {sorted(shapes)}; pad them with "
            "data_preprocessor=dict(type='ImgDataPreprocessor', pad_size_divisor=32)"
        )
    return torch.stack(list(inputs))


def field_of(sample: Any, keys: Sequence[str]) -> Any:
    """What a sample holds under the first of `keys` that it has; the sample itself if it is plain.

    A value that keeps its tensor under `data`, as OpenMMLab's do, gives that tensor.
    """
    for key in keys:
        found = sample.get(key) if isinstance(sample, Mapping) else getattr(sample, key, None)
        if found is not None:
            return found if isinstance(found, Tensor | int) else getattr(found, "data", found)
    if isinstance(sample, Mapping):
        hint = did_you_mean(keys[0], list(sample))
        raise KeyError(f"a sample needs one of {', '.join(keys)}, it has {list(sample)}{hint}")
    return sample


def column(data_samples: Any, keys: Sequence[str]) -> Tensor:
    """One tensor over a batch: of a tensor, a list of numbers or tensors, or samples with fields.

    >>> column([{"gt_label": 1}, {"gt_label": 2}], ("gt_label",))
    tensor([1, 2])
    """
    if isinstance(data_samples, Tensor):
        return data_samples
    if isinstance(data_samples, Mapping):
        return column(field_of(data_samples, keys), keys)
    values = [torch.as_tensor(field_of(sample, keys)) for sample in data_samples]
    return torch.stack([v.squeeze(0) if v.ndim in (1, 3) else v for v in values])


def norm_layer(name: str | None, channels: int) -> nn.Module:
    """A norm for (N, C, H, W) by its short name; None is no norm."""
    if name is None:
        return nn.Identity()
    made = {
        "BN": nn.BatchNorm2d,
        "SyncBN": nn.SyncBatchNorm,
        "IN": nn.InstanceNorm2d,
    }
    if name in made:
        return made[name](channels)
    if name == "GN":
        return nn.GroupNorm(min(32, channels), channels)
    raise ValueError(f"norm must be one of BN, SyncBN, IN, GN or None, got {name!r}")


class ConvModule(nn.Sequential):
    """Convolution, norm, activation: `conv`, `bn` and `act` by name."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: str | None = "BN",
        act: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        pad = kernel_size // 2
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            pad,
            groups=groups,
            bias=norm is None,
        )
        if norm is not None:
            self.bn = norm_layer(norm, out_channels)
        if act is not None:
            self.act = act()


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Leave out whole samples of a residual branch (Huang et al., 2016)."""
    if rate == 0 or not training:
        return x
    keep = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - rate)
    return x * keep / (1 - rate)

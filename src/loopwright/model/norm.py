"""Batch norm beyond one process and one batch: synchronised, and measured anew (PreciseBN)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from loopwright.core.nearest import did_you_mean
from loopwright.dist import all_reduce_params, get_world_size
from loopwright.model.wrap import unwrap

SYNC_KINDS = ("torch",)


def convert_sync_batchnorm(module: nn.Module, implementation: str = "torch") -> nn.Module:
    """The module with every batch norm synchronised over the processes."""
    if implementation not in SYNC_KINDS:
        hint = did_you_mean(implementation, SYNC_KINDS)
        raise ValueError(f"sync_bn must be 'torch', got {implementation!r}{hint}")
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    return converted


def seen_by_statistics(model: nn.Module) -> str | None:
    """What a failed iteration leaves in a model that measures its batches; None where it does not.

    >>> print(seen_by_statistics(nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))))
    the failed batch may be in the statistics of '0' and 1 more: a resume adds it again
    >>> seen_by_statistics(nn.Linear(2, 1))
    """
    norms = ((name, m) for name, m in model.named_modules() if isinstance(m, _NormBase))
    names = [name for name, m in norms if m.training and m.running_mean is not None]
    if not names:
        return None
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"the failed batch may be in the statistics of {names[0]!r}{more}: a resume adds it again"
    )


class _AnyBatchNorm(_BatchNorm):
    """A batch norm of any number of dimensions: nobody knows which one SyncBatchNorm replaced."""

    def _check_input_dim(self, input: Tensor) -> None:
        return


def revert_sync_batchnorm(module: nn.Module) -> nn.Module:
    """The module with every SyncBatchNorm an ordinary batch norm of the same values.

    >>> revert_sync_batchnorm(nn.SyncBatchNorm(2))(torch.ones(2, 2, 3, 3)).shape
    torch.Size([2, 2, 3, 3])
    """
    if isinstance(module, nn.SyncBatchNorm):
        return _reverted(module)
    for name, child in module.named_children():
        setattr(module, name, revert_sync_batchnorm(child))
    return module


def _reverted(sync: nn.SyncBatchNorm) -> nn.Module:
    plain = _AnyBatchNorm(
        sync.num_features, sync.eps, sync.momentum, sync.affine, sync.track_running_stats
    )
    if sync.affine:
        plain.weight, plain.bias = sync.weight, sync.bias
    if sync.track_running_stats:
        plain.running_mean, plain.running_var = sync.running_mean, sync.running_var
        plain.num_batches_tracked = sync.num_batches_tracked
    plain.training = sync.training
    return plain


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Batch norms that train and keep statistics, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    }


@torch.no_grad()
def update_bn_stats(
    model: nn.Module,
    batches: Iterable[Any],
    num_iter: int = 200,
    forward: Callable[[Any], Any] | None = None,
) -> int:
    """Measure the statistics of every batch norm anew over `num_iter` batches; how many there are.

    Mean and variance are those of all samples of all batches and processes together, as in
    "Rethinking 'Batch' in BatchNorm" (Wu and Johnson, 2021), not a moving average that remembers
    old weights. `forward` is what is done with a batch (default: `loss_step` where there is one,
    else a call). The model must be in training mode; its weights stay. Raises ValueError when there
    are fewer batches.
    """
    inner = unwrap(model)
    layers = batch_norms(inner)
    if not layers:
        return 0
    run: Any = forward or getattr(inner, "loss_step", inner)
    sums = {name: _Moments() for name in layers}
    done = 0
    with _measured(layers, sums):
        for batch in islice(batches, num_iter):
            run(batch)
            done += 1
    if done < num_iter:
        raise ValueError(f"precise BN wants {num_iter} batches, the loader gave {done}")
    _share(list(sums.values()))
    for name, layer in layers.items():
        sums[name].put(layer)
    return len(layers)


class _Moments:
    """Sums over all rows a layer saw: of its input, and of its input's square, by channel."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.square: Tensor | None = None
        self.rows = 0

    def add(self, x: Tensor) -> None:
        """Count an input (N, C, ...)."""
        sides = [d for d in range(x.ndim) if d != 1]
        total, square = x.sum(sides), (x * x).sum(sides)
        self.total = total if self.total is None else self.total + total
        self.square = square if self.square is None else self.square + square
        self.rows += x.numel() // x.shape[1]

    def put(self, layer: _BatchNorm) -> None:
        """Write mean and unbiased variance into a layer that was called."""
        if self.total is None or self.square is None:
            return
        mean = self.total / self.rows
        variance = (self.square / self.rows - mean * mean).clamp(min=0)
        variance = variance * (self.rows / max(self.rows - 1, 1))
        if layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)


@contextmanager
def _measured(layers: dict[str, _BatchNorm], sums: dict[str, _Moments]) -> Iterator[None]:
    """Listen to the layers' inputs while their own running averages stand still."""
    momenta = {name: layer.momentum for name, layer in layers.items()}
    handles = [layer.register_forward_pre_hook(_listen(sums[n])) for n, layer in layers.items()]
    try:
        for layer in layers.values():
            layer.momentum = 0.0
        yield
    finally:
        for handle in handles:
            handle.remove()
        for name, layer in layers.items():
            layer.momentum = momenta[name]


def _listen(moments: _Moments) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def hook(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        moments.add(inputs[0].double())

    return hook


def _share(sums: list[_Moments]) -> None:
    """Add up what all processes saw."""
    if get_world_size() == 1:
        return
    seen = [s for s in sums if s.total is not None and s.square is not None]
    rows = [torch.tensor([float(s.rows)], dtype=torch.float64, device=_of(s)) for s in seen]
    tensors = [t for s in seen for t in (s.total, s.square) if t is not None]
    all_reduce_params([*tensors, *rows], op="sum")
    for moments, count in zip(seen, rows, strict=True):
        moments.rows = int(count.item())


def _of(moments: _Moments) -> torch.device:
    return torch.device("cpu") if moments.total is None else moments.total.device

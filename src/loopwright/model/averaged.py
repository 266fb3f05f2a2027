"""Averaged copies of a model: exponential, annealing and plain (stochastic weight averaging)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from loopwright.model.sharded import is_split, reshard, share, split_copy
from loopwright.model.wrap import unwrap
from loopwright.registry import MODELS


class BaseAveragedModel(nn.Module):
    """A copy of a model that follows it: `update_parameters` after each optimizer step.

    The first update copies; from then on every `interval`-th moves the copy by `weight(steps)` of
    the way. Floating-point buffers are averaged too with `update_buffers`, else copied; whole
    numbers are always copied. `device` keeps the copy elsewhere. All tensors move in one operation,
    nothing is read from the device. A subclass says `weight`, or `avg_func` for one tensor.

    Of a model split by FSDP2 each process averages its parts; the copy then holds tensors alone and
    has no forward: `swap` puts the average into the model.
    """

    def __init__(
        self,
        model: nn.Module,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
            raise ValueError(f"interval must be a whole number of at least 1, got {interval!r}")
        super().__init__()
        self.split = is_split(unwrap(model))
        copy = split_copy if self.split else deepcopy
        self.module = copy(unwrap(model)).requires_grad_(False)
        if device is not None:
            self.module.to(device)
        self.interval = interval
        self.update_buffers = update_buffers
        self.steps = 0
        self._pairs: _Pairs | None = None

    def weight(self, steps: int) -> float:
        """How far towards the model the copy moves in update number `steps` (from 1)."""
        raise NotImplementedError(f"{type(self).__name__} must define weight() or avg_func()")

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Move one tensor of the copy; override it for an average that is no interpolation."""
        averaged_param.lerp_(source_param, self.weight(steps))

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Follow the model, which just made a step."""
        pairs = self._matched(model)
        if self.steps == 0:
            pairs.copy_all()
        else:
            if self.steps % self.interval == 0:
                self._average(pairs)
            pairs.copy_rest()
        self.steps += 1

    def _average(self, pairs: _Pairs) -> None:
        if type(self).avg_func is BaseAveragedModel.avg_func:
            torch._foreach_lerp_(pairs.averaged, pairs.sources(), self.weight(self.steps))
            return
        for averaged, source in zip(pairs.averaged, pairs.sources(), strict=True):
            self.avg_func(averaged, source, self.steps)

    def _matched(self, model: nn.Module) -> _Pairs:
        inner = unwrap(model)
        if self.split:
            reshard(inner)
        if self._pairs is None or self._pairs.model is not inner or self.split:
            self._pairs = _Pairs(self.module, inner, update_buffers=self.update_buffers)
        return self._pairs

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the values of the copy and the model, in place; twice is as before."""
        pairs = self._matched(model)
        for averaged, source in pairs.all:
            kept = source.clone()
            source.copy_(averaged)
            averaged.copy_(kept)

    @contextmanager
    def swapped(self, model: nn.Module) -> Iterator[None]:
        """The model holds the averaged values inside the block, its own after it, come what may."""
        self.swap(model)
        try:
            yield
        finally:
            self.swap(model)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    # The counter is a Python int: reading it costs nothing. In the state it is MMEngine's `steps`.

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}steps"] = torch.tensor(self.steps)
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        steps = state_dict.get(f"{prefix}steps")
        if steps is not None:
            self.steps = int(steps)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        unexpected = rest[3]
        if f"{prefix}steps" in unexpected:
            unexpected.remove(f"{prefix}steps")


class _Pairs:
    """The tensors of a copy beside those of its model: to be averaged, and to be copied."""

    def __init__(self, copy: nn.Module, model: nn.Module, *, update_buffers: bool) -> None:
        self.model = model
        parameters = _beside(copy.named_parameters(), model.named_parameters())
        buffers = _beside(copy.named_buffers(), model.named_buffers())
        self.all = [*parameters, *buffers]
        floats = [pair for pair in buffers if update_buffers and pair[0].is_floating_point()]
        moved = [*parameters, *floats]
        rest = [p for p in buffers if not any(p is f for f in floats)]
        self.averaged = [averaged for averaged, _ in moved]
        self._sources = [source for _, source in moved]
        self._rest = ([a for a, _ in rest], [s for _, s in rest])
        self._apart = any(a.device != s.device for a, s in moved)

    def sources(self) -> list[Tensor]:
        """The model's tensors, brought to where the copy's are."""
        if not self._apart:
            return self._sources
        return [
            source.to(averaged.device, non_blocking=True)
            for averaged, source in zip(self.averaged, self._sources, strict=True)
        ]

    def copy_all(self) -> None:
        torch._foreach_copy_([a for a, _ in self.all], [s for _, s in self.all])

    def copy_rest(self) -> None:
        if self._rest[0]:
            torch._foreach_copy_(*self._rest)


def _beside(copy: Iterator[Any], model: Iterator[Any]) -> list[tuple[Tensor, Tensor]]:
    mine, theirs = dict(copy), dict(model)
    if mine.keys() != theirs.keys():
        odd = sorted(mine.keys() ^ theirs.keys())
        raise ValueError(f"the model is not the one that was copied: {odd[0]} is in one only")
    return [(share(mine[name].detach()), share(theirs[name].detach())) for name in mine]


@MODELS.register_module()
class StochasticWeightAverage(BaseAveragedModel):
    """The plain mean of all values averaged so far (Izmailov et al., 2018).

    >>> net = nn.Linear(1, 1)
    >>> mean = StochasticWeightAverage(net)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(net.weight, value)
    ...     mean.update_parameters(net)
    >>> mean.module.weight.item()
    3.0
    """

    def weight(self, steps: int) -> float:
        return 1 / (steps // self.interval + 1)


@MODELS.register_module()
class ExponentialMovingAverage(BaseAveragedModel):
    """Each update goes `momentum` of the way to the model: avg += momentum * (model - avg)."""

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, interval, device, update_buffers)
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must lie between 0 and 1, got {momentum!r}")
        if momentum > 0.5:
            warnings.warn(
                f"momentum={momentum} forgets the average in a few steps: here it is the share of "
                f"the new value, so a decay of {momentum} is written {1 - momentum:g}",
                stacklevel=2,
            )
        self.momentum = momentum

    def weight(self, steps: int) -> float:
        return self.momentum


@MODELS.register_module()
class MomentumAnnealingEMA(ExponentialMovingAverage):
    """An exponential average that starts fast: max(momentum, gamma / (gamma + steps)), as YOLOX."""

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        gamma: int = 100,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, momentum, interval, device, update_buffers)
        if gamma <= 0:
            raise ValueError(f"gamma must be above 0, got {gamma!r}")
        self.gamma = gamma

    def weight(self, steps: int) -> float:
        return max(self.momentum, self.gamma / (self.gamma + steps))

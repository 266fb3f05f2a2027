"""Any plain `nn.Module` as a model that trains: how batches reach it and how its answers are read.

Batches: `dict(inputs=..., data_samples=...)`, `(inputs, targets)`, a tensor, or a dict of the
forward's own arguments. Lists of equally shaped tensors or of numbers are stacked first.
Answers in training: a loss, a dict of losses, something with a `loss`, or, with a `loss` given,
logits (a tensor, or under `logits` or `out`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from loopwright.model.base import make_preprocessor, run_forward, update
from loopwright.model.losses import NoLossError, describe, parse_losses
from loopwright.model.predictions import predictions
from loopwright.registry import MODELS

_ADAPTER = "_loopwright_adapter"
_TARGETS = ("data_samples", "targets", "target", "labels", "label", "y")


def as_trainable(module: nn.Module, loss: Any = None, data_preprocessor: Any = None) -> nn.Module:
    """The same module, able to do `train_step`, `val_step` and `test_step`.

    `loss` is a name ('CrossEntropyLoss'), a config dict or a callable of (logits, targets). A
    module that has a `train_step` comes back as it is; names in its state dict never change.
    Raises ValueError for a `loss` given to a model that computes its own.

    >>> net = as_trainable(nn.Linear(2, 3), loss="CrossEntropyLoss")
    >>> wrapper = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> sorted(net.val_step((torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)))[0])
    ['gt_label', 'pred_label', 'pred_score']
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"a model must be a torch.nn.Module, got a {type(module).__name__}")
    if callable(getattr(module, "train_step", None)) and _ADAPTER not in module.__dict__:
        if loss is not None:
            raise ValueError(
                f"{type(module).__name__} has a train_step and computes its own losses: leave out "
                f"loss={loss!r}"
            )
        return module
    if _ADAPTER in module.__dict__ and loss is None and data_preprocessor is None:
        return module  # it was made trainable before, with a loss that stays
    adapter = Adapter(make_loss(loss), make_preprocessor(data_preprocessor), module)
    module.__dict__[_ADAPTER] = adapter
    for step in (train_step, val_step, test_step, loss_step):
        module.__dict__[step.__name__] = MethodType(step, module)
    return module


def make_loss(given: Any) -> Callable[..., Any] | None:
    """A loss from None, a name, a config dict or a callable."""
    if given is None or (callable(given) and not isinstance(given, str)):
        return given  # type: ignore[no-any-return]
    cfg = {"type": given} if isinstance(given, str) else given
    built = MODELS.build(cfg)
    if not callable(built):
        raise TypeError(f"loss must be callable, {given!r} made a {type(built).__name__}")
    return built  # type: ignore[no-any-return]


def adapter_of(module: nn.Module) -> Adapter | None:
    """What `as_trainable` put beside a module, or None."""
    return module.__dict__.get(_ADAPTER)


def train_step(self: nn.Module, data: Any, optim_wrapper: Any) -> dict[str, Any]:
    return _adapter(self).train(self, data, optim_wrapper)


def val_step(self: nn.Module, data: Any) -> list[Any]:
    return _adapter(self).predict(self, data)


def test_step(self: nn.Module, data: Any) -> list[Any]:
    return _adapter(self).predict(self, data)


def loss_step(self: nn.Module, data: Any) -> dict[str, Any]:
    adapter = _adapter(self)
    return parse_losses(adapter.losses(self, data))[1]


def _adapter(module: nn.Module) -> Adapter:
    found: Adapter = module.__dict__[_ADAPTER]
    return found


class Adapter:
    """A loss and a preprocessor beside a module, not in it, so that no name of it changes."""

    def __init__(
        self, loss: Callable[..., Any] | None, preprocessor: nn.Module, module: nn.Module
    ) -> None:
        self.loss = loss
        self.preprocessor = preprocessor
        self.takes = _forward_arguments(module)
        self.first: tuple[Any, str] | None = None
        self.device: torch.device | None = torch.device("cpu")

    def train(self, call: nn.Module, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        """One training step; `call` is the module or a wrapper around it."""
        with optim_wrapper.optim_context(call):
            losses = self.losses(call, data)
        total, logs = parse_losses(losses)
        update(optim_wrapper, total, logs)
        return logs

    def losses(self, call: nn.Module, data: Any) -> Any:
        """The forward in training and its losses."""
        args, kwargs, targets = self.arguments(self.prepared(call, data, training=True))
        if self.loss is None and "mode" in self.takes:
            return run_forward(call, self.prepared(call, data, training=True), "loss")
        if self.loss is None:
            return _own_losses(_called(call, args, kwargs), call)
        if targets is None:
            raise NoLossError(
                f"loss={type(self.loss).__name__} needs targets: give batches as (inputs, targets) "
                f"or dict(inputs=..., data_samples=...), got {describe(data)}"
            )
        return _named(self.loss(logits_of(call(*args, **kwargs)), targets))

    def predict(self, call: nn.Module, data: Any) -> list[Any]:
        """The forward in evaluation, as one prediction a sample."""
        data = self.prepared(call, data, training=False)
        if self.loss is None and "mode" in self.takes:
            return predictions(run_forward(call, data, "predict"))
        args, kwargs, targets = self.arguments(data)
        if self.loss is None and targets is None:
            args, kwargs, targets = self.without_targets(args, kwargs)
        return predictions(call(*args, **kwargs), targets)

    def prepared(self, call: nn.Module, data: Any, *, training: bool) -> Any:
        """The batch on the module's device, lists stacked."""
        if self.first is None or self.place_of() != self.device:
            self.settle(call)
        return stacked(self.preprocessor(data, training))

    def place_of(self) -> torch.device | None:
        """Where the module is; None before the first batch."""
        if self.first is None:
            return None
        owner, name = self.first
        return owner[name].device

    def settle(self, module: nn.Module) -> None:
        """Bring loss and preprocessor to where the module is."""
        owners = (m._parameters for m in module.modules())
        named = ((owner, k) for owner in owners for k, p in owner.items() if p is not None)
        self.first = next(named, ({"": torch.empty(0)}, ""))
        self.device = self.place_of()
        self.preprocessor.to(self.device)
        if isinstance(self.loss, nn.Module):
            self.loss.to(self.device)

    def arguments(self, data: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """`(args, kwargs, targets)` of a batch; targets are kept back only for a `loss`."""
        if isinstance(data, Mapping):
            return self._of_dict(data)
        if isinstance(data, list | tuple):
            if self.loss is not None and len(data) == 2:
                return (data[0],), {}, data[1]
            return tuple(data), {}, None
        return (data,), {}, None

    def _of_dict(self, data: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        named = {k: v for k, v in data.items() if k in self.takes}
        others = {k: v for k, v in data.items() if k not in self.takes}
        if "inputs" in others:
            rest = [k for k in others if k != "inputs" and others[k] is not None]
            target = next((others[k] for k in _TARGETS if k in rest), None)
            if self.loss is not None:
                return (others["inputs"],), named, target
            extra = () if target is None else (target,)
            return (others["inputs"], *extra), named, None
        if self.loss is None:
            return (), dict(data), None
        key = next((k for k in _TARGETS if k in others), None)
        if key is None:
            key = next((k for k in _TARGETS if k in named), None)
        return (), {k: v for k, v in named.items() if k != key}, None if key is None else data[key]

    def without_targets(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """The arguments of evaluation for a module that computes its own losses in training.

        What it can do without, it is not given: targets that have a default.
        """
        spare = [k for k in kwargs if k in _TARGETS and self.takes.get(k)]
        targets = kwargs[spare[0]] if spare else None
        kwargs = {k: v for k, v in kwargs.items() if k not in spare}
        optional = list(self.takes.values())
        if len(args) == 2 and len(optional) >= 2 and optional[1]:
            targets, args = args[-1], args[:1]
        return args, kwargs, targets


def _called(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The forward's answer; NoLossError where it takes no targets and so can give no loss."""
    try:
        inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise NoLossError(
            f"{type(module).__name__}.forward cannot take the batch ({error}): to train a model "
            "that gives logits, name a loss, e.g. loss='CrossEntropyLoss'"
        ) from None
    return module(*args, **kwargs)


def _forward_arguments(module: nn.Module) -> dict[str, bool]:
    """The forward's named parameters, and whether each can be left out."""
    return {
        name: p.default is not p.empty
        for name, p in inspect.signature(module.forward).parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }


def _own_losses(given: Any, module: nn.Module) -> Any:
    """The losses in what a module without a `loss` of ours returned."""
    if isinstance(given, Tensor) and given.numel() != 1:
        raise NoLossError(
            f"{type(module).__name__} gave a tensor of shape {tuple(given.shape)}, which looks "
            "like logits: name a loss, e.g. loss='CrossEntropyLoss', or return a loss or a dict of "
            "losses"
        )
    if isinstance(given, Mapping):
        return {k: v for k, v in given.items() if "loss" in k or _is_number(v)} or given
    if isinstance(getattr(given, "loss", None), Tensor):
        return {"loss": given.loss}
    if isinstance(given, list | tuple) and given and isinstance(given[0], Tensor):
        return _own_losses(given[0], module)
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)


def _named(loss: Any) -> Any:
    return loss if isinstance(loss, Mapping | Tensor) else {"loss": loss}


def logits_of(given: Any) -> Any:
    """The logits in a forward's answer: a tensor, or what is under `logits` or `out`."""
    if isinstance(given, Mapping):
        for key in ("logits", "out"):
            if key in given:
                return given[key]
        raise NoLossError(f"no 'logits' or 'out' in what the model gave: {describe(given)}")
    inner = getattr(given, "logits", None)
    return given if inner is None else inner


def stacked(data: Any) -> Any:
    """A batch whose fields that are lists of equally shaped tensors, or of numbers, are tensors.

    >>> stacked([[torch.zeros(2), torch.zeros(2)], [1, 2]])[1]
    tensor([1, 2])
    """
    if isinstance(data, Mapping):
        return {key: _stack(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_stack(value) for value in data]
    return data


def _stack(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(v, Tensor) and v.shape == value[0].shape for v in value):
        return torch.stack(value)
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        return torch.tensor(value)
    return value

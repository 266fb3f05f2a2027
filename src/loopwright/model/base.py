"""BaseModel: a model that trains, validates and tests itself on a batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from loopwright.model.losses import NoLossError, parse_losses
from loopwright.model.module import BaseModule
from loopwright.model.preprocessor import BaseDataPreprocessor
from loopwright.registry import MODELS


class BaseModel(BaseModule):
    """Subclass it and define `forward(inputs, data_samples=None, mode='tensor')`.

    `mode='loss'` gives a dict of losses, `mode='predict'` a list of predictions, one a sample,
    `mode='tensor'` whatever the network gives. `data_preprocessor` is a config dict or a module;
    without one the batch is only moved to the model's device.

    >>> import torch
    >>> class Net(BaseModel):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = nn.Linear(2, 1)
    ...     def forward(self, inputs, data_samples=None, mode="tensor"):
    ...         out = self.fc(inputs)
    ...         return {"loss": (out - data_samples).square().mean()} if mode == "loss" else out
    >>> Net().val_step({"inputs": torch.zeros(3, 2), "data_samples": None}).shape
    torch.Size([3, 1])
    """

    def __init__(self, data_preprocessor: Any = None, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.data_preprocessor = make_preprocessor(data_preprocessor)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """What the network does with a batch, as `mode` says."""
        raise NotImplementedError(f"{type(self).__name__} must define forward()")

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        """Forward, losses, and what the optim wrapper does with them; the losses, detached."""
        with optim_wrapper.optim_context(self):
            data = self.data_preprocessor(data, True)
            losses = self._run_forward(data, mode="loss")
        total, logs = self.parse_losses(losses)
        update(optim_wrapper, total, logs)
        return logs

    def val_step(self, data: Any) -> Any:
        """The predictions for a batch of validation data."""
        data = self.data_preprocessor(data, False)
        return self._run_forward(data, mode="predict")

    def test_step(self, data: Any) -> Any:
        """The predictions for a batch of test data."""
        data = self.data_preprocessor(data, False)
        return self._run_forward(data, mode="predict")

    def loss_step(self, data: Any) -> dict[str, Any]:
        """The losses of a batch as numbers, without learning from it: validation loss."""
        data = self.data_preprocessor(data, False)
        return self.parse_losses(self._run_forward(data, mode="loss"))[1]

    def parse_losses(self, losses: Any) -> tuple[Tensor, dict[str, Any]]:
        """The loss to go backward from, and the numbers to log; see `parse_losses`."""
        return parse_losses(losses)

    def _run_forward(self, data: Any, mode: str) -> Any:
        return run_forward(self, data, mode)


def run_forward(model: Any, data: Any, mode: str) -> Any:
    """Call a model with a batch: a dict by keyword, a tuple or list in order, a tensor alone."""
    if isinstance(data, dict):
        return model(**data, mode=mode)
    if isinstance(data, list | tuple):
        return model(*data, mode=mode)
    if isinstance(data, Tensor):
        return model(data, mode=mode)
    raise TypeError(
        "the data preprocessor must give a dict, a tuple, a list or a tensor, it gave a "
        f"{type(data).__name__}"
    )


def update(optim_wrapper: Any, total: Tensor, terms: dict[str, Any]) -> None:
    """Learn from a loss; an error about its value is told the terms that it is the sum of.

    Raises NoLossError for a loss that no parameter has a part in.
    """
    if not total.requires_grad:
        raise NoLossError(
            "the loss does not depend on any trainable parameter: is everything frozen, or was "
            "it computed under no_grad?"
        )
    try:
        optim_wrapper.update_params(total)
    except FloatingPointError as error:
        told = ", ".join(f"{name}={float(value):g}" for name, value in terms.items())
        error.add_note(f"loss terms: {told}")
        raise


def make_preprocessor(given: Any) -> nn.Module:
    """A data preprocessor from None, a config dict or a module."""
    if given is None:
        return BaseDataPreprocessor()
    if isinstance(given, dict):
        given = MODELS.build({"type": "BaseDataPreprocessor", **given})
    if not isinstance(given, nn.Module):
        raise TypeError(
            "data_preprocessor must be a config dict or a torch.nn.Module, got "
            f"{type(given).__name__}"
        )
    return given

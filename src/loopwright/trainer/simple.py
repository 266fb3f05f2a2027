"""SimpleTrainer and AMPTrainer: one model, one loader, one optimizer, by the verbs of a wrapper."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from loopwright import dist
from loopwright.data import adopt, seed_step
from loopwright.log import EventStorage, get_event_storage, has_event_storage
from loopwright.model import unwrap
from loopwright.optim import AmpOptimWrapper, OptimWrapper
from loopwright.trainer.base import TrainerBase
from loopwright.trainer.data import endless
from loopwright.trainer.losses import LossBook, total_of

logger = logging.getLogger("loopwright.trainer")


class SimpleTrainer(TrainerBase):
    """Trains a model that returns its loss, or a dict of losses, when called with a batch.

    A model with MMEngine's ``train_step`` trains by that. ``optimizer`` is one of torch, or an
    ``OptimWrapper`` where gradients are to be accumulated or clipped. A finite loader is started
    again with its next epoch. Gradients are zeroed before backward, so after a step hooks still
    find them. With ``seed`` what an iteration draws depends on seed, iteration and rank alone, and
    the order that a ``torch.utils.data.DataLoader`` shuffles on seed and epoch: a resume is exact.

    A loss that is not finite raises NonFiniteLossError (a FloatingPointError) before the weights
    see it; on an accelerator the losses are read every ``gather_metric_period`` iterations.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Iterable[Any],
        optimizer: Any,
        gather_metric_period: int = 20,
        zero_grad_before_forward: bool = False,
        async_write_metrics: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        model.train()
        self.model = model
        self.data_loader = self._placeable(data_loader, seed)
        self.optim_wrapper = self._wrapped(optimizer)
        self.gather_metric_period = gather_metric_period
        self.zero_grad_before_forward = zero_grad_before_forward
        self.async_write_metrics = async_write_metrics
        self.seed = seed
        self._book = LossBook(gather_metric_period)
        self._batch_source: Iterator[Any] | None = None
        self._data_time = 0.0
        self._rank = dist.get_rank()
        self._verbs = Verbs(self)

    def _wrapped(self, optimizer: Any) -> OptimWrapper:
        return optimizer if isinstance(optimizer, OptimWrapper) else OptimWrapper(optimizer)

    @staticmethod
    def _placeable(loader: Iterable[Any], seed: int | None) -> Iterable[Any]:
        """With a seed, torch's own loader gains an order that a resume can take up anywhere."""
        return (
            adopt(loader, seed=seed) if seed is not None and type(loader) is DataLoader else loader
        )

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer inside the wrapper."""
        optimizer: torch.optim.Optimizer = self.optim_wrapper.optimizer
        return optimizer

    def _wire(self) -> None:
        said = self.hook_table["after_backward"] or self._overrides("after_backward", TrainerBase)
        self.optim_wrapper.after_backward = self.after_backward if said else None

    # -- data ------------------------------------------------------------------------------

    @property
    def _data_loader_iter(self) -> Iterator[Any]:
        """Batches for ever, from the position that the iteration implies."""
        if self._batch_source is None:
            self._batch_source = endless(self.data_loader, self.iter)
        return self._batch_source

    def reset_data_loader(self, data_loader_builder: Callable[[], Iterable[Any]]) -> None:
        """Train on from another loader."""
        self.data_loader = self._placeable(data_loader_builder(), self.seed)
        self._batch_source = None

    def _fetch(self) -> Any:
        began = perf_counter()
        batch = next(self._data_loader_iter)
        self._data_time = perf_counter() - began
        return batch

    def _begin(self, start_iter: int, max_iter: int) -> None:
        super()._begin(start_iter, max_iter)
        self.ready(start_iter, max_iter)

    def ready(self, start_iter: int, max_iter: int) -> None:
        """A training begins at an iteration: fetch from there, count from there."""
        self._training, self._rank = True, dist.get_rank()
        self._batch_source = None
        self._book.begin(self._hooks)
        wrapper = self.optim_wrapper
        wrapper.initialize_count_status(unwrap(self.model), start_iter, max_iter)
        self._verbs.begins_window = True
        if self._overrides("run_step", SimpleTrainer):
            warn_of_bare_steps(wrapper)

    # -- one iteration ---------------------------------------------------------------------

    def _batches(self) -> Iterator[Any]:
        if self._overrides("run_step", SimpleTrainer):
            return super()._batches()
        return self._fetched()

    def _fetched(self) -> Iterator[Any]:
        while True:
            yield self._fetch()

    def _step(self, batch: Any) -> Any:
        return self.run_step() if batch is None else self.learn(batch)

    def run_step(self) -> Any:
        """Fetch a batch and learn from it; the values to log, detached."""
        return self.learn(self._fetch())

    def learn(self, batch: Any) -> Any:
        """Forward, zero, backward, check, step."""
        if not self.model.training:
            raise RuntimeError("the model was switched to eval mode: call model.train()")
        if self.seed is not None:
            seed_step(self.seed, self.iter, self._rank)
        verbs = self._verbs
        if self.zero_grad_before_forward and verbs.begins_window:
            self.optim_wrapper.zero_grad()
        train_step = getattr(self.model, "train_step", None)
        if train_step is not None:
            logs = train_step(batch, optim_wrapper=verbs)
            verbs.put(logs)
            return logs
        with self.optim_wrapper.optim_context(self.model):
            total, logs = total_of(self.model(batch))
        verbs.backward_from(total, logs)
        verbs.put(logs)
        verbs.finish()
        return logs

    def _write_metrics(self, loss_dict: dict[str, Any], data_time: float, prefix: str = "") -> None:
        """Put the values of an iteration, and their sum, into the current storage."""
        total, logs = total_of(loss_dict)
        named = {f"{prefix}{name}": value for name, value in logs.items()}
        values = {"data_time": data_time, "total_loss": total, **named}
        self._book.check(self.iter, total, logs)
        self._book.put(self.iter, values, self._storage())

    def _storage(self) -> EventStorage:
        if self._training or not has_event_storage():
            return self.storage
        return get_event_storage()

    def _in_window(self) -> bool:
        return not self._verbs.begins_window

    def _settle(self) -> None:
        self._book.settle(self.storage)

    # -- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As `TrainerBase.state_dict`, with the optimizer's."""
        return {**super().state_dict(), "optimizer": self.optim_wrapper.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if "optimizer" in state_dict:
            self.optim_wrapper.load_state_dict(state_dict["optimizer"])


def warn_of_bare_steps(wrapper: OptimWrapper) -> None:
    """Say what a ``run_step`` of one's own leaves out when it calls ``self.optimizer.step()``."""
    does = {
        "clips": wrapper.clip_grad_kwargs is not None,
        "accumulates": wrapper._accumulative_counts != 1,
        "scales the loss": isinstance(wrapper, AmpOptimWrapper),
    }
    left_out = [what for what, done in does.items() if done]
    if left_out:
        logger.warning(
            "run_step() is overridden: self.optimizer is the bare optimizer; what %s is "
            "self.optim_wrapper (backward(loss), step(), zero_grad())",
            " and ".join(left_out),
        )


class Verbs:
    """What a ``train_step`` is given as optim wrapper: the trainer's, in detectron2's order."""

    def __init__(self, trainer: SimpleTrainer) -> None:
        self.trainer = trainer
        self.begins_window = True
        self.accumulates = trainer.optim_wrapper._accumulative_counts != 1
        self.total: Any = None

    def optim_context(self, model: nn.Module) -> Any:
        return self.trainer.optim_wrapper.optim_context(model)

    def update_params(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """The whole update; what the model logs is put when its ``train_step`` returns."""
        self.backward_from(loss, {"total_loss": loss})
        self.finish()

    def backward_from(self, total: torch.Tensor, logs: dict[str, Any]) -> None:
        """Look at the loss, zero what the last window left, go backward."""
        trainer, wrapper = self.trainer, self.trainer.optim_wrapper
        trainer._book.check(trainer.iter, total, logs)
        self.total = total.detach()
        if self.begins_window and not trainer.zero_grad_before_forward:
            wrapper.zero_grad()
        wrapper.backward(wrapper.scale_loss(total) if self.accumulates else total)

    def put(self, logs: dict[str, Any]) -> None:
        """Note the values of this iteration; FloatingPointError where one read is not finite."""
        trainer = self.trainer
        values = {"data_time": trainer._data_time, "total_loss": self.total, **logs}
        trainer._book.put(trainer.iter, values, trainer._storage())

    def finish(self) -> None:
        """Step where an accumulation window ends."""
        wrapper = self.trainer.optim_wrapper
        self.begins_window = not self.accumulates or wrapper.should_update()
        if self.begins_window:
            wrapper.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trainer.optim_wrapper, name)


class AMPTrainer(SimpleTrainer):
    """SimpleTrainer under autocast; with float16 also a loss scale.

    ``grad_scaler`` is a ``torch.amp.GradScaler`` of yours; ``log_grad_scaler`` puts the scale as
    ``[metric]grad_scaler``. Gradients are unscaled before they are clipped.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Iterable[Any],
        optimizer: Any,
        gather_metric_period: int = 20,
        zero_grad_before_forward: bool = False,
        grad_scaler: Any = None,
        precision: torch.dtype = torch.float16,
        log_grad_scaler: bool = False,
        async_write_metrics: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        self.precision, self.grad_scaler = precision, grad_scaler
        self.log_grad_scaler = log_grad_scaler
        super().__init__(
            model,
            data_loader,
            optimizer,
            gather_metric_period,
            zero_grad_before_forward,
            async_write_metrics,
            seed=seed,
        )

    def _wrapped(self, optimizer: Any) -> OptimWrapper:
        if isinstance(optimizer, AmpOptimWrapper):
            wrapper = optimizer
        elif isinstance(optimizer, OptimWrapper):
            if type(optimizer) is not OptimWrapper:
                kind = type(optimizer).__name__
                raise TypeError(f"an AMPTrainer needs an AmpOptimWrapper, got {kind}")
            wrapper = AmpOptimWrapper(
                optimizer=optimizer.optimizer,
                accumulative_counts=optimizer._accumulative_counts,
                clip_grad=optimizer.clip_grad_kwargs,
                dtype=self.precision,
            )
        else:
            wrapper = AmpOptimWrapper(optimizer=optimizer, dtype=self.precision)
        if self.grad_scaler is not None:
            wrapper.loss_scaler = self.grad_scaler
        return wrapper

    def learn(self, batch: Any) -> Any:
        logs = super().learn(batch)
        if self.log_grad_scaler:
            scale = self.optim_wrapper.metrics().get("loss_scale")
            if scale is not None:
                self._storage().put_scalar("[metric]grad_scaler", scale)
        return logs

"""DefaultTrainer: a whole training from a config, each part a method to override."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from inspect import getattr_static
from typing import Any

import torch
from torch import nn

from loopwright import dist
from loopwright.evaluation import inference_on_dataset, print_csv_format, verify_results
from loopwright.files import RunLock
from loopwright.log import EventWriter
from loopwright.trainer.autoscale import auto_scale_workers
from loopwright.trainer.base import TrainerBase
from loopwright.trainer.checkpointing import Checkpointer, PeriodicCheckpointer
from loopwright.trainer.hooks import EvalHook, LRScheduler, PeriodicWriter, PreciseBN
from loopwright.trainer.predicting import callable_in_eval
from loopwright.trainer.setup import create_ddp_model, default_writers, setup_logger
from loopwright.trainer.simple import AMPTrainer, SimpleTrainer, warn_of_bare_steps
from loopwright.trainer.sources import source_of
from loopwright.trainer.timing import IterationTimer

logger = logging.getLogger("loopwright.trainer")


class DefaultTrainer(TrainerBase):
    """Trains what a config says; override a ``build_…`` method or ``test`` to change a part.

    The config has MMEngine's keys (``model, train_dataloader, train_cfg, optim_wrapper,
    param_scheduler, val_dataloader, val_evaluator, work_dir, …``), is a lazy one (``model,
    dataloader, optimizer, lr_multiplier, train``) or has detectron2's keys (`get_cfg`).
    ``trainer.resume_or_load(resume)`` before ``trainer.train()``.
    """

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        if not logging.getLogger("loopwright").hasHandlers():
            setup_logger()
        cfg = self.auto_scale_workers(cfg, dist.get_world_size())
        self.cfg = cfg
        source = source_of(cfg)
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        data_loader = self.build_train_loader(cfg)
        self.settings = source.settings()
        self.output_dir = self.settings.output_dir
        self._trainer = self._inner(
            create_ddp_model(model, **self.settings.ddp), data_loader, optimizer
        )
        self._share()
        scheduled = source.scheduled(self._trainer.optim_wrapper)
        self.scheduler = self.build_lr_scheduler(cfg, scheduled)
        self.checkpointer = Checkpointer(model, self.output_dir, trainer=weakref.proxy(self))
        self.start_iter, self.max_iter = 0, self.settings.max_iter
        self._last_eval_results: dict[str, Any] = {}
        self.register_hooks(self.build_hooks())
        for hook, priority in source.custom_hooks():
            self._register(hook, priority)
        self._wire()

    def _inner(self, model: nn.Module, data_loader: Any, optimizer: Any) -> SimpleTrainer:
        settings = self.settings
        kind = AMPTrainer if settings.amp else SimpleTrainer
        return kind(
            model,
            data_loader,
            optimizer,
            settings.gather_metric_period,
            settings.zero_grad_before_forward,
            seed=settings.seed,
        )

    def _share(self) -> None:
        """The trainer inside counts, stores and calls hooks where this one does."""
        inner = self._trainer
        inner.progress, inner.requests = self.progress, self.requests
        inner.storage, inner.hook_table = self.storage, self.hook_table

    auto_scale_workers = staticmethod(auto_scale_workers)

    # -- parts: override these -------------------------------------------------------------

    @classmethod
    def build_model(cls, cfg: Any) -> nn.Module:
        """The model, on its device."""
        return source_of(cfg).model()

    @classmethod
    def build_optimizer(cls, cfg: Any, model: nn.Module) -> Any:
        """A torch optimizer or an OptimWrapper."""
        return source_of(cfg).optimizer(model)

    @classmethod
    def build_lr_scheduler(cls, cfg: Any, optimizer: Any) -> Any:
        """A schedule ``f(where)``, one or several schedulers, or None."""
        return source_of(cfg).scheduler(optimizer)

    @classmethod
    def build_train_loader(cls, cfg: Any) -> Any:
        """An iterable of batches; a finite one is started again with its next epoch."""
        return source_of(cfg).train_loader()

    @classmethod
    def build_test_loader(cls, cfg: Any, dataset_name: str) -> Any:
        """The loader of an evaluation: ``"val"`` or ``"test"``, or a name of your `test_names`."""
        return source_of(cfg).test_loader(dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str) -> Any:
        """A DatasetEvaluator, or several in a list."""
        return source_of(cfg).evaluator(dataset_name)

    @classmethod
    def test_names(cls, cfg: Any) -> list[str]:
        """The datasets that `test` goes through."""
        return source_of(cfg).eval_names()

    def build_hooks(self) -> list[Any]:
        """Hooks in order: the timer first, so that it counts no hook; checkpoints behind the
        schedule (their state) and before the evaluation (a failing one leaves a checkpoint);
        writers last.
        """
        settings, main = self.settings, dist.is_main_process()
        own = getattr_static(type(self), "test") is not vars(DefaultTrainer)["test"]
        evaluates = own or self.test_names(self.cfg)
        return [
            IterationTimer(),
            None if self.scheduler in (None, []) else LRScheduler(scheduler=self.scheduler),
            self._precise_bn(),
            PeriodicCheckpointer(
                self.checkpointer, settings.checkpoint_period, max_to_keep=settings.max_to_keep
            )
            if main
            else None,
            EvalHook(settings.eval_period, self._evaluate) if evaluates else None,
            PeriodicWriter(self.build_writers(), period=settings.log_period) if main else None,
        ]

    def _precise_bn(self) -> PreciseBN | None:
        """Before checkpoints and evaluations, since it changes the model."""
        settings = self.settings
        if not settings.precise_bn:
            return None
        loader = self.build_train_loader(self.cfg)
        return PreciseBN(settings.eval_period, self.model, loader, settings.precise_bn)

    def build_writers(self) -> list[EventWriter]:
        """Console, ``metrics.json`` and TensorBoard in the output folder."""
        return default_writers(self.output_dir, self.max_iter)

    # -- evaluating ------------------------------------------------------------------------

    def _evaluate(self) -> dict[str, Any]:
        self._last_eval_results = self.test(self.cfg, self.model)
        return self._last_eval_results

    @classmethod
    def test(cls, cfg: Any, model: nn.Module, evaluators: Any = None) -> dict[str, Any]:
        """Evaluate on every dataset; the results of the only one, or of each by its name.

        A dataset whose `build_evaluator` raises NotImplementedError is left out with a warning.
        """
        names = cls.test_names(cfg)
        if evaluators is not None and not isinstance(evaluators, list | tuple):
            evaluators = [evaluators]
        if evaluators is not None and len(evaluators) != len(names):
            raise ValueError(f"{len(names)} datasets need as many evaluators: {len(evaluators)}")
        results: dict[str, Any] = {}
        for index, name in enumerate(names):
            try:
                judge = cls.build_evaluator(cfg, name) if evaluators is None else evaluators[index]
            except NotImplementedError as error:
                logger.warning("%s is not evaluated: %s", name, error)
                results[name] = {}
                continue
            loader = cls.build_test_loader(cfg, name)
            results[name] = inference_on_dataset(callable_in_eval(model), loader, judge)
            if dist.is_main_process():
                logger.info("Evaluation results for %s:", name)
                print_csv_format(results[name])
        return next(iter(results.values())) if len(results) == 1 else results

    # -- training --------------------------------------------------------------------------

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint of the output folder, or load the given weights."""
        resume = resume and self.checkpointer.has_checkpoint()
        self.checkpointer.resume_or_load(self.settings.weights, resume=resume)
        if resume:
            self.start_iter = self.iter + 1

    def train(self, start_iter: int | None = None, max_iter: int | None = None) -> Any:
        """Train to the end; the results of the last evaluation.

        Raises Locked when another run writes into the output folder.
        """
        first = self.start_iter if start_iter is None else start_iter
        last = self.max_iter if max_iter is None else max_iter
        assert last is not None
        os.makedirs(self.output_dir, exist_ok=True)
        with RunLock(self.output_dir) if dist.is_main_process() else nullcontext():
            super().train(first, last)
        expected = self.settings.expected_results
        if expected and dist.is_main_process():
            verify_results(list(expected), self._last_eval_results)
        return self._last_eval_results

    def run_step(self) -> Any:
        return self._trainer.run_step()

    def _batches(self) -> Iterator[Any]:
        own = self._overrides("run_step", DefaultTrainer)
        return super()._batches() if own else self._trainer._batches()

    def _step(self, batch: Any) -> Any:
        own = self._overrides("run_step", DefaultTrainer)
        return self.run_step() if own else self._trainer._step(batch)

    def _begin(self, start_iter: int, max_iter: int) -> None:
        super()._begin(start_iter, max_iter)
        self._share()
        self._trainer.ready(start_iter, max_iter)
        if self._overrides("run_step", DefaultTrainer):
            warn_of_bare_steps(self._trainer.optim_wrapper)

    def _wire(self) -> None:
        said = self.hook_table["after_backward"] or self._overrides("after_backward", TrainerBase)
        self._trainer.optim_wrapper.after_backward = self.after_backward if said else None

    def _in_window(self) -> bool:
        return self._trainer._in_window()

    def _settle(self) -> None:
        self._trainer._settle()

    @property
    def model(self) -> nn.Module:
        return self._trainer.model

    @property
    def data_loader(self) -> Any:
        return self._trainer.data_loader

    @property
    def optim_wrapper(self) -> Any:
        return self._trainer.optim_wrapper

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        return self._trainer.optimizer

    @property
    def seed(self) -> int | None:
        return self._trainer.seed

    # -- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As `TrainerBase.state_dict`, with the optimizer of the trainer inside."""
        inner = {"optimizer": self._trainer.optim_wrapper.state_dict()}
        return {**super().state_dict(), "_trainer": inner}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        inner = state_dict.get("_trainer", state_dict)
        if "optimizer" in inner:
            self._trainer.optim_wrapper.load_state_dict(inner["optimizer"])

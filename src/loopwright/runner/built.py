"""The parts of a run, each built from the config when it is first used."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from torch import nn

from loopwright.build.environment import Environment
from loopwright.build.parts import (
    build_eval_loop,
    build_evaluator,
    build_loader,
    build_optimization,
    build_train_loop,
)
from loopwright.build.sets import evaluators_of, named_sets
from loopwright.build.spec import RunSpec
from loopwright.core.length import length_of
from loopwright.optim import build_param_scheduler
from loopwright.registry.whereabouts import building
from loopwright.runner import saving


class BuiltParts:
    """Loaders, loops, evaluators, optimization and store of a run: what it needs, when it does.

    A run that only tests never builds its training data.
    """

    spec: RunSpec
    env: Environment
    cfg: Any
    model: nn.Module
    logger: Any
    work_dir: str

    @cached_property
    def train_dataloader(self) -> Any:
        return self.loader_of(self._needed("train_dataloader"), training=True)

    @cached_property
    def val_dataloader(self) -> Any:
        return self.loader_of(self._needed("val_dataloader"))

    @cached_property
    def test_dataloader(self) -> Any:
        return self.loader_of(self._needed("test_dataloader"))

    @cached_property
    def train_loop(self) -> Any:
        with building(self.cfg):
            return build_train_loop(self._needed("train_cfg"), self, self.train_dataloader)

    @cached_property
    def val_loop(self) -> Any:
        if self.spec.val_cfg is None:
            return None
        with building(self.cfg):
            return build_eval_loop(
                self.spec.val_cfg, self, self.val_dataloader, self.val_evaluator, "ValLoop"
            )

    @cached_property
    def test_loop(self) -> Any:
        with building(self.cfg):
            return build_eval_loop(
                self._needed("test_cfg"),
                self,
                self.test_dataloader,
                self.test_evaluator,
                "TestLoop",
            )

    @cached_property
    def val_evaluator(self) -> Any:
        return self._evaluator("val")

    @cached_property
    def test_evaluator(self) -> Any:
        return self._evaluator("test")

    @cached_property
    def optim_wrapper(self) -> Any:
        batch = getattr(self.train_dataloader, "batch_size", None)
        with building(self.cfg):
            return build_optimization(self.spec, self.model, batch, self.env, self.logger.info)

    @cached_property
    def param_schedulers(self) -> Any:
        """Schedulers in the config's order; by optimizer name where there are several."""
        if self.spec.param_scheduler is None:
            return []
        loop = self.train_loop
        with building(self.cfg):
            return build_param_scheduler(
                self.spec.param_scheduler,
                self.optim_wrapper,
                epoch_length=length_of(self.train_dataloader),
                max_epochs=loop.max_epochs,
                max_iters=loop.max_iters,
            )

    @cached_property
    def store(self) -> Any:
        """The checkpoints in the run folder."""
        return saving.open_store(self.work_dir)

    def all_param_schedulers(self) -> list[Any]:
        """Every scheduler in one list."""
        found = self.param_schedulers
        return [s for each in found.values() for s in each] if isinstance(found, dict) else found

    def loader_of(self, cfg: Any, *, training: bool = False) -> Any:
        """A loader from a config or an object, by name for several; a built one as it is."""
        several = named_sets(cfg)
        if several is not None and not training:
            return {name: self.loader_of(one) for name, one in several.items()}
        bad = os.path.join(self.work_dir, "bad_samples.jsonl")
        with building(self.cfg):
            return build_loader(cfg, self.env, training=training, bad_samples_file=bad)

    def _evaluator(self, mode: str) -> Any:
        """The evaluator of a mode, by name where there are several sets; None for losses alone."""
        if getattr(self.spec, f"{mode}_evaluator") is None and self.spec.losses_alone(mode):
            return None
        cfg, loader = self._needed(f"{mode}_evaluator"), getattr(self, f"{mode}_dataloader")
        if isinstance(loader, dict):
            each = evaluators_of(cfg, list(loader))
            return {name: self.evaluator_of(one) for name, one in each.items()}
        return self.evaluator_of(cfg)

    def evaluator_of(self, cfg: Any) -> Any:
        """An evaluator from metric configs or objects; a built one comes back as it is."""
        if cfg is None:
            return None
        with building(self.cfg):
            return build_evaluator(cfg)

    def _needed(self, key: str) -> Any:
        part = getattr(self.spec, key)
        if part is None:
            raise RuntimeError(f"this run has no {key}: it was not configured")
        return part

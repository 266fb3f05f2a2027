"""Each face as hooks of the other dialect see it: a runner as a trainer, a trainer as a runner."""

from __future__ import annotations

import logging
import weakref
from typing import Any

from loopwright import dist
from loopwright.log import MessageHub

AS_TRAINER = {"max_iter": "max_iters", "data_loader": "train_dataloader", "_hooks": "hooks"}


def as_trainer(face: Any) -> Any:
    """The face itself when it is a trainer, else a view of a runner with a trainer's names."""
    return face if hasattr(face, "max_iter") else RunnerAsTrainer(face)


class RunnerAsTrainer:
    """A runner under a trainer's names: ``iter``, ``max_iter``, ``optimizer``, ``storage``, …"""

    start_iter = 0

    def __init__(self, runner: Any) -> None:
        self._runner = weakref.proxy(runner)

    @property
    def optimizer(self) -> Any:
        return self._runner.optim_wrapper.optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, AS_TRAINER.get(name, name))


class TrainerAsRunner:
    """A trainer under a runner's names, for hooks of MMEngine's dialect.

    One epoch is the whole run, as in an iteration-based loop. What a trainer does not have
    (loaders and loops of validation, a config) is an AttributeError that says so.
    """

    epoch = 0
    max_epochs = 1
    val_loop = None

    def __init__(self, trainer: Any) -> None:
        self._trainer = weakref.proxy(trainer)
        self.logger = logging.getLogger("loopwright.trainer")
        self.message_hub = MessageHub("trainer", storage=trainer.storage)

    @property
    def iter(self) -> int:
        return int(self._trainer.iter)

    @property
    def max_iters(self) -> int | None:
        limit: int | None = self._trainer.max_iter
        return limit

    @property
    def train_loop(self) -> Any:
        return self

    @property
    def dataloader(self) -> Any:
        return self._trainer.data_loader

    train_dataloader = dataloader

    @property
    def param_schedulers(self) -> list[Any]:
        """What the LRScheduler hooks step."""
        return [s for hook in self.hooks for s in getattr(hook, "schedulers", ())]

    def all_param_schedulers(self) -> list[Any]:
        return self.param_schedulers

    @property
    def hooks(self) -> list[Any]:
        hooks: list[Any] = self._trainer.hook_table.hooks
        return hooks

    def call_hook(self, fn_name: str, **facts: Any) -> None:
        self._trainer.hook_table.say(fn_name, **facts)

    @property
    def rank(self) -> int:
        return dist.get_rank()

    @property
    def world_size(self) -> int:
        return dist.get_world_size()

    @property
    def device(self) -> Any:
        return next(self._trainer.model.parameters()).device

    @property
    def seed(self) -> int:
        seed = getattr(self._trainer, "seed", None)
        return 0 if seed is None else int(seed)

    @property
    def work_dir(self) -> str:
        return str(getattr(self._trainer, "output_dir", "."))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._trainer, name, _ABSENT)
        if found is _ABSENT:
            raise AttributeError(f"this run is a trainer, not a Runner: it has no {name!r}")
        return found


_ABSENT = object()

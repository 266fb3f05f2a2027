"""TrainerBase: detectron2's face over the core loop; what an iteration does is a subclass's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from loopwright.core import HookTable, Progress, Requests, TrainLoop
from loopwright.hooks.bind import binder, own_bind
from loopwright.log import EventStorage
from loopwright.trainer.states import hook_states, load_hook_states
from loopwright.trainer.views import TrainerAsRunner

logger = logging.getLogger("loopwright.trainer")
NORMAL = 50


class TrainerBase:
    """A training with hooks, counted in iterations from 0.

    Subclasses define ``run_step``. Hooks run in the order of registration, at every point the
    same; ``iter`` is the iteration being run, and equals ``max_iter`` in ``after_train`` of a
    training that finished. Hooks of MMEngine's dialect may be registered too.
    """

    def __init__(self) -> None:
        self.progress = Progress()
        self.requests = Requests()
        self.storage = EventStorage()
        self.start_iter = 0
        self.max_iter: int | None = None
        self._as_runner = TrainerAsRunner(self)
        self.hook_table = HookTable(binder(self._as_runner))
        self._restored = False
        self._training = False

    # -- where it is -----------------------------------------------------------------------

    @property
    def iter(self) -> int:
        """The iteration being run; before training, the one that was restored."""
        return self.progress.iter

    @iter.setter
    def iter(self, value: int) -> None:
        """Set by restoring a state, and by a trainer that drives another."""
        self.progress.iter = int(value)

    # -- hooks -----------------------------------------------------------------------------

    def register_hooks(self, hooks: list[Any]) -> None:
        """Add hooks of either dialect behind those there are; None is left out.

        Raises TypeError for something that is no hook.
        """
        for hook in hooks:
            if hook is not None:
                self._register(hook)
        self._wire()

    def _register(self, hook: Any, priority: int = NORMAL) -> None:
        if not hasattr(hook, "before_train"):
            raise TypeError(f"{hook!r} is no hook: derive it from HookBase or Hook")
        self.hook_table.add(hook, priority, own_bind(hook, self))

    @property
    def _hooks(self) -> list[Any]:
        """The hooks in the order they run."""
        return self.hook_table.hooks

    def _wire(self) -> None:
        """Hooks changed; subclasses tell who must know."""

    def before_train(self) -> None:
        for point in ("before_run", "before_train", "before_train_epoch"):
            self.hook_table.say(point)

    def after_train(self) -> None:
        """Say that training ended to every hook, even where one fails; the first error is raised.

        ``after_run`` comes last, so that writers close when nobody writes any more.
        """
        self.storage.iter = self.iter
        errors: list[Exception] = []
        for point in ("after_train_epoch", "after_train", "after_run"):
            errors += self.hook_table.say_all(point)
        if errors:
            for other in errors[1:]:
                errors[0].add_note(f"another hook failed too: {other!r}")
            raise errors[0]

    def before_step(self) -> None:
        self.hook_table.say("before_step")

    def after_backward(self) -> None:
        self.hook_table.say("after_backward")

    def after_step(self) -> None:
        self.hook_table.say("after_step")

    # -- training --------------------------------------------------------------------------

    def run_step(self) -> Any:
        """One iteration, data included."""
        raise NotImplementedError(f"{type(self).__name__} must define run_step()")

    def train(self, start_iter: int, max_iter: int) -> None:
        """Run iterations ``start_iter`` to ``max_iter - 1``.

        ``after_train`` is called however it ends; an error of a hook there never hides the one
        that ended the training. A hook may ask for an early end: ``trainer.requests.stop("why")``.
        """
        logger.info("starting training from iteration %d", start_iter)
        self._begin(start_iter, max_iter)
        with self.storage:
            self._training = True
            try:
                self.before_train()
                self._loop().run_iters(self._batches(), until=max_iter)
                self._settle()
            except BaseException as error:
                if isinstance(error, Exception):
                    logger.error("training failed at iteration %d: %r", self.iter, error)
                self._end_badly(error)
                raise
            finally:
                self._training = False
            self.after_train()

    def _begin(self, start_iter: int, max_iter: int) -> None:
        self.start_iter, self.max_iter = start_iter, max_iter
        self.progress.iter, self.progress.max_iters = start_iter, max_iter
        if not self._restored:
            self.storage = EventStorage(start_iter)
            self._as_runner.message_hub.storage = self.storage
        self._restored = False
        self.storage.iter = start_iter
        self._wire()

    def _end_badly(self, error: BaseException) -> None:
        try:
            self.after_train()
        except Exception as second:
            error.add_note(f"after_train failed too: {second!r}")

    def _settle(self) -> None:
        """Look at what was not looked at yet, at the end of a training that did not fail."""

    def _loop(self) -> TrainLoop:
        return StepLoop(self._step, self._told(), self.progress, self.requests, self.storage)

    def _told(self) -> Any:
        """What the loop says its points to: the hook table, or this object's own methods first."""
        own: dict[str, Callable[[], Any]] = {
            point: getattr(self, point)
            for point in ("before_step", "after_step")
            if self._overrides(point, TrainerBase)
        }
        return OwnPoints(self.hook_table, own) if own else self.hook_table

    def _overrides(self, name: str, base: type) -> bool:
        return name in vars(self) or getattr(type(self), name) is not getattr(base, name)

    def _batches(self) -> Iterator[Any]:
        """What the loop fetches: nothing, since ``run_step`` fetches for itself."""
        return repeat(None)

    def _step(self, batch: Any) -> Any:
        return self.run_step()

    # -- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The iteration being finished, the storage's windows, and every hook's state."""
        last = self.iter if self.max_iter is None else min(self.iter, self.max_iter - 1)
        return {
            "iteration": last,
            "hooks": hook_states(self.hook_table.hooks),
            "storage": self.storage.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave; training goes on at the iteration after it."""
        self.iter = int(state_dict["iteration"])
        load_hook_states(self.hook_table.hooks, state_dict.get("hooks", {}))
        if "storage" in state_dict:
            self.storage.load_state_dict(state_dict["storage"])
            self._restored = True


class StepLoop(TrainLoop):
    """The core loop with the storage's iteration kept beside the progress; stops when asked."""

    prompt = True

    def __init__(
        self, step: Any, hooks: Any, progress: Progress, requests: Requests, storage: EventStorage
    ) -> None:
        super().__init__(step, hooks, progress, requests)
        self.storage = storage

    def run_iter(self, batch_idx: int, data_batch: Any) -> None:
        """One iteration; the storage then stands at the next, or at the end."""
        super().run_iter(self.progress.iter, data_batch)
        self.storage.iter = self.progress.iter


class OwnPoints:
    """A hook table before which an object's own methods are asked."""

    def __init__(self, table: HookTable, own: dict[str, Callable[[], Any]]) -> None:
        self.table, self.own = table, own

    def say(self, point: str, **facts: Any) -> None:
        """Call the own method of a point, else the hooks."""
        act = self.own.get(point)
        if act is None:
            self.table.say(point, **facts)
        else:
            act()

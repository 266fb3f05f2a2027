"""TrainerBase: detectron2's face over the core loop; what an iteration does is a subclass's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from loopwright import dist
from loopwright.core import HookTable, Progress, Requests, TrainLoop
from loopwright.dist.signals import agree, leave, listening
from loopwright.hooks.bind import binder, own_bind
from loopwright.log import EventStorage
from loopwright.trainer.states import hook_states, load_hook_states
from loopwright.trainer.stopping import (
    UNSAVED,
    Weights,
    save_after_error,
    saver_after_error,
    saver_of,
)
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
        self._heard = Requests()
        self._current: StepLoop | None = None
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

        After SIGTERM or SIGINT all ranks finish the iteration, a checkpoint is written by the
        checkpointer there is, and SystemExit(75) or KeyboardInterrupt is raised. Without a
        checkpointer the exit code of SIGTERM is 143: nothing to go on from. SIGUSR1 saves alone.
        After an error the checkpointer saves the state before the iteration that failed, if whole.
        """
        logger.info("starting training from iteration %d", start_iter)
        self._begin(start_iter, max_iter)
        with listening(self._heard), self.storage:
            self._training = True
            try:
                self.before_train()
                self._current = self._loop()
                self._current.run(self._batches(), max_iter)
                self._settle()
                saved = self.requests.halting is not None and self.save_now()
            except BaseException as error:
                if isinstance(error, Exception):
                    logger.error("training failed at iteration %d: %r", self.iter, error)
                self._end_badly(error)
                raise
            finally:
                self._training = False
            self.after_train()
            if self.requests.halting is not None:
                self._leave(self.requests.halting, saved)

    def _leave(self, reason: str, saved: bool) -> None:
        """End the process after a signal, on all ranks."""
        saved = dist.any_rank(saved)
        where = f"at iteration {self.iter}, {'checkpoint' if saved else 'no checkpoint'} written"
        logger.warning("stopped by %s %s", reason, where)
        leave(reason, where, **({} if saved else {"code": UNSAVED}))

    def save_now(self) -> bool:
        """Write a checkpoint of the last finished iteration, as the regular ones are named.

        False where there is no checkpointer: neither an attribute of that name nor a hook's.
        """
        found, last = saver_of(self), self.finished
        if found is None or last < 0:
            return False
        saver, prefix = found
        saver.save(f"{prefix}_{last:07d}", iteration=last)
        return True

    def _begin(self, start_iter: int, max_iter: int) -> None:
        self.start_iter, self.max_iter = start_iter, max_iter
        self._current = None
        for wishes in (self.requests, self._heard):
            wishes.stopping = wishes.halting = wishes.saving = None
        self.progress.iter, self.progress.max_iters = start_iter, max_iter
        if not self._restored:
            self.storage = EventStorage(start_iter)
            self._as_runner.message_hub.storage = self.storage
        self._restored = False
        self.storage.iter = start_iter
        self._wire()

    def _end_badly(self, error: BaseException) -> None:
        try:
            save_after_error(self, error)
        except Exception as second:
            error.add_note(f"saving after this error failed too: {second!r}")
        try:
            self.after_train()
        except Exception as second:
            error.add_note(f"after_train failed too: {second!r}")

    def _settle(self) -> None:
        """Look at what was not looked at yet, at the end of a training that did not fail."""

    def _loop(self) -> StepLoop:
        return StepLoop(self)

    def _in_window(self) -> bool:
        """Whether gradients of an accumulation are in flight, which no checkpoint holds."""
        return False

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

    @property
    def finished(self) -> int:
        """The last iteration whose step was taken: ``iter`` itself in ``after_step``."""
        if self._current is None:
            return self.iter if self.max_iter is None else min(self.iter, self.max_iter - 1)
        return self.iter - 1 if self._current.whole else self.iter

    def state_dict(self) -> dict[str, Any]:
        """The iteration that was finished, the storage's windows, and every hook's state."""
        return {
            "iteration": self.finished,
            "hooks": hook_states(self.hook_table.hooks),
            "storage": self.storage.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave; training goes on at the iteration after it."""
        self._current = None
        self.iter = int(state_dict["iteration"])
        load_hook_states(self.hook_table.hooks, state_dict.get("hooks", {}))
        if "storage" in state_dict:
            self.storage.load_state_dict(state_dict["storage"])
            self._restored = True


class StepLoop(TrainLoop):
    """The core loop with the storage's iteration kept beside the progress; stops when asked.

    Signals are heard apart from the wishes that the loop grants, and handed on between two
    iterations, by all ranks alike and where no accumulation window is open.
    """

    prompt = True

    def __init__(self, trainer: TrainerBase) -> None:
        wishes = trainer.requests
        super().__init__(trainer._step, trainer._told(), trainer.progress, wishes)
        self.trainer, self.storage = trainer, trainer.storage
        self.alone = dist.get_world_size() == 1
        saver = saver_after_error(trainer)
        self.weights = Weights(None if saver is None else saver[0].model)
        self.agree = self._hear

    def run(self, batches: Iterator[Any], until: int) -> None:
        """Run to ``until``, unless a hook or a signal asked for an end before or on the way."""
        self._hear()
        self.run_iters(batches, until)

    def run_iter(self, batch_idx: int, data_batch: Any) -> None:
        """One iteration; the storage then stands at the next, or at the end."""
        self.weights.look()
        super().run_iter(self.progress.iter, data_batch)
        self.weights.forget()
        self.storage.iter = self.progress.iter

    def _hear(self) -> None:
        heard = self.trainer._heard
        if self.alone and heard.saving is None:
            return
        if not self.trainer._in_window():
            agree(heard, self.requests, alone=self.alone)

    def on_save(self) -> None:
        """A checkpoint was asked for; one that comes with a halt is written when it is granted."""
        if self.requests.halting is None:
            self.trainer._settle()
            self.trainer.save_now()
        self.requests.saved()


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

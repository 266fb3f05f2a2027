"""The hooks of a trainer: callbacks, writers, learning rates, evaluation, precise batch norm."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from torch import nn
from torch.optim import lr_scheduler

from loopwright import dist
from loopwright.evaluation import flatten_results_dict
from loopwright.log import EventStorage, EventWriter
from loopwright.model.norm import batch_norms, update_bn_stats
from loopwright.optim.where import LRMultiplier
from loopwright.trainer.hook import HookBase

logger = logging.getLogger("loopwright.trainer")

Callback = Callable[[Any], Any]


class CallbackHook(HookBase):
    """Calls a function with the trainer at each point that has one."""

    def __init__(
        self,
        *,
        before_train: Callback | None = None,
        after_train: Callback | None = None,
        before_step: Callback | None = None,
        after_step: Callback | None = None,
        after_backward: Callback | None = None,
    ) -> None:
        given = {
            "before_train": before_train,
            "after_train": after_train,
            "before_step": before_step,
            "after_step": after_step,
            "after_backward": after_backward,
        }
        for point, callback in given.items():
            if callback is not None:
                setattr(self, point, _Told(self, callback))


class _Told:
    """A callback that is given the hook's trainer when it is called."""

    def __init__(self, hook: HookBase, callback: Callback) -> None:
        self.hook, self.callback = hook, callback

    def __call__(self) -> None:
        self.callback(self.hook.trainer)


class PeriodicWriter(HookBase):
    """Tells the writers to write every ``period`` iterations and at the end, then closes them.

    The end comes after every other hook's after_train, so nothing that they put is lost. A writer
    that fails is dropped with a warning.
    """

    def __init__(self, writers: Sequence[EventWriter], period: int = 20) -> None:
        for writer in writers:
            if not hasattr(writer, "write"):
                raise TypeError(f"{writer!r} is no EventWriter: it has no write()")
        self._writers, self._period = list(writers), period
        self._owes = False

    def before_train(self) -> None:
        """After a resume: write the record that was due when the checkpoint had been made."""
        start, storage = self.trainer.iter, self.trainer.storage
        if self._owes and start and start % self._period == 0:
            storage.iter = start - 1
            self.write()
            storage.iter = start
        self._owes = False

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self._period == 0 or done == self.trainer.max_iter:
            self.write()

    def after_run(self) -> None:
        """Write what is left and close."""
        self.write()
        self._each("close")

    def write(self) -> None:
        """Write now."""
        self._each("write")

    def _each(self, act: str) -> None:
        storage = self.trainer.storage
        with storage if isinstance(storage, EventStorage) else nullcontext():
            for writer in list(self._writers):
                try:
                    getattr(writer, act)()
                except Exception as error:
                    self._writers.remove(writer)
                    name = type(writer).__name__
                    logger.warning("the writer %s failed and is dropped: %r", name, error)

    def state_dict(self) -> dict[str, Any]:
        """Byte offsets of the log files, by writer."""
        states = {}
        for index, writer in enumerate(self._writers):
            save = getattr(writer, "state_dict", None)
            if save is not None:
                states[f"{type(writer).__name__}{index}"] = save()
        return states

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut log files to where they were."""
        self._owes = True
        for index, writer in enumerate(self._writers):
            name = f"{type(writer).__name__}{index}"
            if name in state and hasattr(writer, "load_state_dict"):
                writer.load_state_dict(state[name])


class LRScheduler(HookBase):
    """Puts ``lr``, the value this iteration used, and moves the learning rates.

    ``scheduler`` may be an ``f(where)`` schedule, an LRMultiplier, one or several schedulers of
    ours, or one of torch that counts iterations. The lr told is that of the largest group (or the
    commonest value where every group is one parameter). A step that a loss scale dropped moves
    nothing. A torch scheduler that would end the learning long before the run ends is refused.
    """

    def __init__(self, optimizer: Any = None, scheduler: Any = None) -> None:
        self._optimizer, self._given = optimizer, scheduler
        self.schedulers: list[Any] = []
        self._state: list[Any] | None = None
        self._group = 0
        self._wrapper: Any = None

    def before_train(self) -> None:
        trainer = self.trainer
        self._wrapper = getattr(trainer, "optim_wrapper", None)
        self._optimizer = self._optimizer or trainer.optimizer
        given = trainer.scheduler if self._given is None else self._given
        several = given if isinstance(given, list | tuple) else [given]
        self.schedulers = [self._made(each) for each in several]
        self._group = best_group(self._optimizer)
        if self._state is not None:
            for scheduler, state in zip(self.schedulers, self._state, strict=True):
                scheduler.load_state_dict(state)
            self._state = None

    def _made(self, given: Any) -> Any:
        trainer = self.trainer
        if isinstance(given, lr_scheduler.ReduceLROnPlateau):
            raise TypeError(
                "ReduceLROnPlateau moves after evaluations, not iterations: call its step(metric) "
                "in the function given to EvalHook"
            )
        if isinstance(given, lr_scheduler.LRScheduler):
            refuse_per_epoch(given, trainer.max_iter - trainer.iter)
        if hasattr(given, "step"):
            return given
        if not callable(given):
            raise TypeError(f"a scheduler must be f(where) or have step(), got {given!r}")
        return LRMultiplier(self._optimizer, given, trainer.max_iter, last_iter=trainer.iter - 1)

    def after_step(self) -> None:
        rate = self._optimizer.param_groups[self._group]["lr"]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        if self._wrapper is not None and self._wrapper.last_step_skipped:
            return
        for scheduler in self.schedulers:
            scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return {"schedulers": [each.state_dict() for each in self.schedulers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Kept until the schedulers are made; a plain state of one scheduler is taken too."""
        self._state = state.get("schedulers", [state])


def best_group(optimizer: Any) -> int:
    """The index of the group whose lr is told.

    >>> from types import SimpleNamespace as O
    >>> groups = [{"params": [n], "lr": lr} for n, lr in enumerate((0.1, 0.2, 0.2))]
    >>> best_group(O(param_groups=groups))
    1
    """
    groups = optimizer.param_groups
    sizes = [len(group["params"]) for group in groups]
    if max(sizes) > 1:
        return sizes.index(max(sizes))
    common = Counter(group["lr"] for group in groups).most_common(1)[0][0]
    return [group["lr"] for group in groups].index(common)


def refuse_per_epoch(scheduler: Any, steps: int) -> None:
    """Raise ValueError for a StepLR, MultiStepLR or ExponentialLR that was meant to count epochs.

    Stepped every iteration it would leave less than 1e-8 of the learning rate before the end.
    """
    name = type(scheduler).__name__
    if name == "StepLR":
        left = scheduler.gamma ** (steps // scheduler.step_size)
    elif name == "ExponentialLR":
        left = scheduler.gamma**steps
    elif name == "MultiStepLR":
        left = scheduler.gamma ** sum(c for m, c in scheduler.milestones.items() if m <= steps)
    else:
        return
    if 0 < scheduler.gamma < 1 and left < 1e-8:
        raise ValueError(
            f"{name} would be stepped every iteration and leave {left:.1e} of the learning rate "
            f"after {steps}: count its steps in iterations, not epochs"
        )


class EvalHook(HookBase):
    """Calls ``eval_function`` every ``eval_period`` iterations and when training has finished.

    Its result, nested or not, is put as ``a/b`` without smoothing. Must be on all ranks or none.
    A training that failed is not evaluated. After a resume, an evaluation that was due at the
    checkpoint but not done is made up for.
    """

    def __init__(
        self,
        eval_period: int,
        eval_function: Callable[[], Any],
        eval_after_train: bool = True,
    ) -> None:
        self._period, self._func, self._after_train = eval_period, eval_function, eval_after_train
        self._done = -1
        self._owes = False

    def before_train(self) -> None:
        start, storage = self.trainer.iter, self.trainer.storage
        if self._owes and self._due(start) and self._done < start:
            storage.iter = start - 1
            self.evaluate(start)
            storage.iter = start
        self._owes = False

    def _due(self, done: int) -> bool:
        return self._period > 0 and 0 < done < self.trainer.max_iter and done % self._period == 0

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if self._due(done):
            self.evaluate(done)

    def after_train(self) -> None:
        finished = self.trainer.iter >= self.trainer.max_iter
        if self._after_train and finished:
            self.evaluate(self.trainer.iter)

    def evaluate(self, done: int) -> None:
        """Evaluate after ``done`` iterations and put the numbers."""
        results = self._func()
        self._done = done
        for name, value in flatten_results_dict(results or {}).items():
            self.trainer.storage.put_scalar(name, _as_float(name, value), smoothing_hint=False)
        dist.barrier()

    def state_dict(self) -> dict[str, Any]:
        return {"evaluated": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._done, self._owes = int(state["evaluated"]), True


def _as_float(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"the eval function must give numbers, nested in dicts; {name!r} is {value!r}"
        ) from None


class PreciseBN(HookBase):
    """Measures batch-norm statistics anew over ``num_iter`` batches, every ``period`` and at the
    end. Does nothing for a model without trainable batch norm. What the model logs meanwhile goes
    nowhere.
    """

    def __init__(
        self, period: int, model: nn.Module, data_loader: Iterable[Any], num_iter: int
    ) -> None:
        self._period, self._model, self._num_iter = period, model, num_iter
        self._loader = data_loader
        self._disabled = not batch_norms(model)
        self._batches: Any = None
        if self._disabled:
            logger.info("PreciseBN is disabled: the model has no batch norm in training mode")

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        last = done == self.trainer.max_iter
        if last or (self._period > 0 and done % self._period == 0):
            self.update_stats()

    def update_stats(self) -> None:
        """Measure now."""
        if self._disabled:
            return
        if self._batches is None:
            self._batches = iter(self._loader)
        logger.info("Running precise-BN for %d iterations", self._num_iter)
        with EventStorage():
            update_bn_stats(self._model, self._batches, self._num_iter)

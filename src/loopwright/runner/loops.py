"""MMEngine's training loops over the core: epochs and iterations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

from loopwright.config import ConfigError
from loopwright.core import TrainLoop, interval_at, next_val, val_due
from loopwright.core.length import length_of
from loopwright.data import seed_step
from loopwright.data.randomness import H
from loopwright.dist.signals import agree
from loopwright.registry import LOOPS
from loopwright.runner.memory import Memory, explain
from loopwright.runner.rollback import leave_out


class BaseLoop:
    """A loop over a loader, for a runner; a custom loop overrides ``run``.

    Register a subclass with ``@LOOPS.register_module()`` and name it in ``train_cfg.type``.
    """

    def __init__(self, runner: Any, dataloader: Any) -> None:
        self._runner = runner
        self.dataloader = runner.loader_of(dataloader)

    @property
    def runner(self) -> Any:
        return self._runner

    # -- MMEngine's names ------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return int(self._runner.progress.epoch)

    @property
    def iter(self) -> int:
        return int(self._runner.progress.iter)

    @property
    def _epoch(self) -> int:
        return int(self._runner.progress.epoch)

    @_epoch.setter
    def _epoch(self, value: int) -> None:
        self._runner.progress.epoch = value

    @property
    def _iter(self) -> int:
        return int(self._runner.progress.iter)

    @_iter.setter
    def _iter(self, value: int) -> None:
        self._runner.progress.iter = value

    def run(self) -> Any:
        """Run the loop from the runner's progress to its end."""
        raise NotImplementedError(f"{type(self).__name__} must define run()")


class _TrainLoop(BaseLoop):
    """What both training loops share: the core loop, the step and when to validate."""

    unit: str

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        limit: int,
        val_begin: int,
        val_interval: int,
        dynamic_intervals: Sequence[tuple[int, int]] | None,
    ) -> None:
        super().__init__(runner, dataloader)
        _check_limit(f"max_{self.unit}s", limit)
        self.val_begin = val_begin
        self.val_interval = val_interval
        self.dynamic_intervals = [(int(m), int(i)) for m, i in dynamic_intervals or ()]
        self.core = TrainLoop(self.step, runner.hook_table, runner.progress, runner.requests)
        self.core.iterate = self._iterate
        self.memory = Memory(runner)
        if runner.distributed:
            self.core.agree = partial(agree, runner.heard, runner.requests)

    def step(self, data_batch: Any) -> Any:
        """Train on one batch; what it draws depends on seed, iteration and rank alone."""
        runner = self._runner
        wrapper = runner.optim_wrapper
        if runner.left_out and runner.progress.iter in runner.left_out:
            return leave_out(wrapper)
        seed_step(runner.seed, runner.progress.iter, runner.rank)
        if hasattr(wrapper, "begin_iteration"):
            wrapper.begin_iteration()
        before = wrapper.inner_count
        try:
            return runner.model.train_step(data_batch, optim_wrapper=wrapper)
        except Exception as error:
            self.core.whole = wrapper.inner_count == before
            explain(error, data_batch, runner.train_dataloader)
            if not self.memory.gives_way(error):
                raise
            if not self.core.whole:
                raise self.memory.go_back(error) from error
            said = "\n".join((str(error), *getattr(error, "__notes__", ())))
        return self.memory.again(data_batch, said)

    def _iterate(self, batch_idx: int, data_batch: Any) -> None:
        """Call ``run_iter`` with what MMEngine's loop of this kind gives it."""
        raise NotImplementedError

    def _seed_for_hooks(self) -> None:
        """What hooks of others draw before the step must not depend on who loaded the batch."""
        runner = self._runner
        if self._hooks_of_others:
            seed_step(H(runner.seed, "hooks"), runner.progress.iter, runner.rank)

    @cached_property
    def _hooks_of_others(self) -> bool:
        said = (e.hook for e in self._runner.hook_table if e.bind(e.hook, "before_train_iter"))
        return any(not type(hook).__module__.startswith("loopwright.") for hook in said)

    # -- limits ----------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        return int(self._runner.progress.max_epochs)

    @property
    def max_iters(self) -> int:
        return int(self._runner.progress.max_iters)

    @property
    def _max_epochs(self) -> int:
        return int(self._runner.progress.max_epochs)

    @_max_epochs.setter
    def _max_epochs(self, value: int) -> None:
        self._runner.progress.max_epochs = value

    @property
    def _max_iters(self) -> int:
        return int(self._runner.progress.max_iters)

    @_max_iters.setter
    def _max_iters(self, value: int) -> None:
        self._runner.progress.max_iters = value

    @property
    def stop_training(self) -> bool:
        return self._runner.requests.stopping is not None

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        if value:
            self._runner.requests.stop("a hook set stop_training")
        else:
            self._runner.requests.stopping = None

    # -- validation ------------------------------------------------------------------------

    def _validate_if_due(self, done: int, last: int) -> None:
        """Validate after ``done`` units; skipped where this very validation is behind us."""
        runner = self._runner
        interval = interval_at(done, self.val_interval, self.dynamic_intervals)
        due = val_due(done, interval=interval, begin=self.val_begin, last=last)
        if not due or runner.val_loop is None or runner.requests.halting is not None:
            return
        if hasattr(runner.val_loop, "choose"):
            runner.val_loop.choose(done, last=last)
        runner.val_loop.run()
        if getattr(runner.val_loop, "finished", runner.requests.halting is None):
            runner.progress.validated = done

    def _end_epoch(self) -> None:
        """Tell the hooks; what they draw is theirs again where a resume begins here."""
        runner = self._runner
        seed_step(H(runner.seed, "epoch"), runner.progress.iter, runner.rank)
        self.core.whole = False  # after an error in one hook, others would be told twice
        runner.call_hook("after_train_epoch")
        self.core.whole = True

    def _finish(self) -> None:
        """Say that training is over, which it is not when the run was halted to go on later."""
        if self._runner.requests.halting is None:
            self._runner.call_hook("after_train")

    def _validate_again(self, done: int, last: int) -> None:
        """After a resume: the validation that was due at the checkpoint but not finished."""
        if done and self._runner.progress.validated < done:
            self._validate_if_due(done, last)


@LOOPS.register_module()
class EpochBasedTrainLoop(_TrainLoop):
    """Trains for ``max_epochs``; validates every ``val_interval`` epochs from ``val_begin`` on.

    ``dynamic_intervals`` are (epoch, interval) pairs in rising order that replace ``val_interval``
    from their epoch on. A stop that is asked for is granted at the end of an epoch.
    """

    unit = "epoch"

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval, dynamic_intervals)
        length = length_of(self.dataloader)
        if length is None:
            raise ConfigError(
                f"{type(self.dataloader.dataset).__name__} has no length, so nobody knows where an "
                "epoch ends: use train_cfg.type='IterBasedTrainLoop' with max_iters, or say "
                "train_dataloader.num_batch_per_epoch"
            )
        runner.progress.max_epochs = max_epochs
        runner.progress.max_iters = max_epochs * length

    def run(self) -> Any:
        runner, progress = self._runner, self._runner.progress
        runner.call_hook("before_train")
        self._validate_again(progress.epoch if progress.batch == 0 else 0, self.max_epochs)
        while progress.epoch < self.max_epochs and not self._stops():
            self.run_epoch()
            if progress.batch == 0:
                self._validate_if_due(progress.epoch, self.max_epochs)
        self._finish()
        return runner.model

    def _stops(self) -> bool:
        """A stop waits for the end of the epoch, also where a resume begins inside it."""
        wishes = self._runner.requests
        waits = self._runner.progress.batch and wishes.halting is None
        return wishes.stopping is not None and not waits

    def run_epoch(self) -> None:
        """One epoch, or what is left of the one that a resume starts in."""
        runner, progress = self._runner, self._runner.progress
        runner.call_hook("before_train_epoch")
        runner.model.train()
        self.dataloader.set_position(progress.epoch, progress.batch)
        before = progress.iter
        self.core.run_iters(iter(self.dataloader))
        if runner.requests.halting is not None and progress.batch < len(self.dataloader):
            return
        if progress.iter == before and progress.batch == 0:
            raise RuntimeError(f"the training loader gave no batch in epoch {progress.epoch}")
        self._end_epoch()
        progress.epoch += 1
        progress.batch = 0

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One iteration; override it for a training procedure of your own."""
        self.core.run_iter(idx, data_batch)

    def _iterate(self, batch_idx: int, data_batch: Any) -> None:
        self._seed_for_hooks()
        self.run_iter(batch_idx, data_batch)


@LOOPS.register_module()
class IterBasedTrainLoop(_TrainLoop):
    """Trains for ``max_iters``; validates every ``val_interval`` iterations from ``val_begin`` on.

    The whole run is one epoch: ``epoch`` stays 0, ``batch_idx`` is the iteration, and epoch hooks
    are called once. A loader that ends is started again with its next epoch.
    """

    unit = "iter"

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(runner, dataloader, max_iters, val_begin, val_interval, dynamic_intervals)
        self.core.prompt = True
        runner.progress.max_iters = max_iters
        runner.progress.max_epochs = 1

    def run(self) -> Any:
        runner, progress = self._runner, self._runner.progress
        runner.call_hook("before_train")
        runner.call_hook("before_train_epoch")
        runner.model.train()
        self._validate_again(progress.iter, self.max_iters)
        batches = self._endless()
        while progress.iter < self.max_iters and runner.requests.stopping is None:
            due = next_val(
                progress.iter,
                self.max_iters,
                self.val_interval,
                begin=self.val_begin,
                dynamic=self.dynamic_intervals,
            )
            self.core.run_iters(batches, until=due)
            if progress.iter == due:
                self._validate_if_due(due, self.max_iters)
        if runner.requests.halting is None:
            self._end_epoch()
        self._finish()
        return runner.model

    def _endless(self) -> Iterator[Any]:
        """Batches for ever, from the position that the finished iterations imply."""
        loader, length = self.dataloader, length_of(self.dataloader)
        epoch, batch = divmod(self.iter, length) if length else (0, self.iter)
        start = self._runner.data_start
        if start is not None and start[0] == self.iter:
            epoch, batch = start[1:] if start[2] != length else (start[1] + 1, 0)
        while True:
            loader.set_position(epoch, batch)
            empty = batch == 0  # a resume may begin at the end of a stream
            for data_batch in loader:
                empty = False
                yield data_batch
            if empty:
                raise RuntimeError(f"the training loader gave no batch at iteration {self.iter}")
            epoch, batch = epoch + 1, 0

    def run_iter(self, data_batch: Any) -> None:
        """One iteration; override it for a training procedure of your own."""
        self.core.run_iter(self.iter, data_batch)

    def _iterate(self, batch_idx: int, data_batch: Any) -> None:
        self._seed_for_hooks()
        self.run_iter(data_batch)


def _check_limit(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"train_cfg.{name} must be an integer of at least 1, got {value!r}")

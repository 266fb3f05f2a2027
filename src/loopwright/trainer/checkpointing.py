"""Checkpointer and the hooks that use it: detectron2's names over the atomic store."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterable
from typing import Any

from torch import nn

from loopwright import dist
from loopwright.checkpoint import (
    CheckpointError,
    Entry,
    Store,
    find_state_dict,
    load_any,
    load_weights,
    nonfinite,
)
from loopwright.core.nearest import did_you_mean
from loopwright.files import atomic_write
from loopwright.model import model_state, unwrap
from loopwright.trainer.hook import HookBase

logger = logging.getLogger("loopwright.trainer")
SUFFIX = ".pth"


class Checkpointer:
    """Saves and loads a model and whatever else has a state, under ``save_dir``.

    Files are ``<name>.pth``, written whole or not at all and readable by ``torch.load``; loading
    executes nothing. Weights are saved under the model's own names, without ``module.`` and
    ``_orig_mod.``, so plain, compiled and distributed models exchange checkpoints.

    >>> import tempfile
    >>> saver = Checkpointer(nn.Linear(2, 1), tempfile.mkdtemp())
    >>> saver.save("model_0000004", iteration=4)
    >>> saver.resume_or_load("", resume=True)
    {'iteration': 4}
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        save_to_disk: bool | None = None,
        **checkpointables: Any,
    ) -> None:
        self.model, self.save_dir = model, save_dir
        self.save_to_disk = dist.is_main_process() if save_to_disk is None else save_to_disk
        self.checkpointables = dict(checkpointables)
        self._opened: Store | None = None

    @property
    def store(self) -> Store:
        """The store of the folder."""
        if self._opened is None:
            self._opened = Store(self.save_dir or ".")
        return self._opened

    def add_checkpointable(self, key: str, checkpointable: Any) -> None:
        """Save and load one more object. Raises KeyError for a taken key."""
        if key in self.checkpointables:
            raise KeyError(f"{key!r} is taken by {self.checkpointables[key]!r}")
        self.checkpointables[key] = checkpointable

    # -- saving ----------------------------------------------------------------------------

    def save(self, name: str, *, tag: bool = True, **extra: Any) -> None:
        """Write ``<name>.pth`` with everything and ``extra``; ``tag`` makes it the last one.

        Weights that hold NaN or infinity never become the last one: a resume goes on from the one
        before, and nothing older is deleted on their account.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        state: dict[str, Any] = {"model": model_state(self.model)}
        state |= {key: each.state_dict() for key, each in self.checkpointables.items()}
        state |= extra
        buffers = {name for name, _ in unwrap(self.model).named_buffers()}
        bad = nonfinite({"model": state["model"]}, buffers=buffers)
        if bad:
            logger.error("%s holds NaN or infinity (%s): not resumed from", name, bad[0])
        tag = tag and not bad
        last = None if tag else self._tagged()
        meta = {"tagged": tag, **({"good": False} if bad else {})}
        step = int(extra.get("iteration", -1)) + 1
        self.store.save(name + SUFFIX, state, step=step, meta=meta)
        if not tag:
            self._untag(last)
        logger.info("Saved checkpoint to %s", os.path.join(self.save_dir, name + SUFFIX))

    def _tagged(self) -> str | None:
        path = self._hint()
        return _read(path) if os.path.exists(path) else None

    def _last(self) -> Entry | None:
        """The tagged checkpoint that was written last, whatever its iteration."""
        tagged = [
            entry
            for entry in self.store.entries()
            if not isinstance(entry.meta, dict) or entry.meta.get("tagged", True)
        ]
        return max(tagged, key=lambda entry: entry.sequence, default=None)

    def _hint(self) -> str:
        return os.path.join(self.save_dir, "last_checkpoint")

    def _untag(self, last: str | None) -> None:
        """Put ``last_checkpoint`` back to what it was."""
        if last is not None:
            atomic_write(self._hint(), last)
        elif os.path.exists(self._hint()):
            os.remove(self._hint())

    # -- loading ---------------------------------------------------------------------------

    def has_checkpoint(self) -> bool:
        return bool(self.save_dir) and self.get_checkpoint_file() != ""

    def get_checkpoint_file(self) -> str:
        """The newest whole checkpoint that was tagged as last, or an empty text."""
        if not self.save_dir or not os.path.isdir(self.save_dir):
            return ""
        last = self._last()
        if last is not None:
            return os.path.join(self.save_dir, last.name)
        foreign = self._tagged()
        return os.path.join(self.save_dir, foreign) if foreign else ""

    def holds(self, iteration: int) -> bool:
        """Whether the last checkpoint is that of an iteration."""
        last = self._last()
        return last is not None and last.step == iteration + 1

    def get_all_checkpoint_files(self) -> list[str]:
        return [os.path.join(self.save_dir, name) for name in self.store.names()]

    def resume_or_load(self, path: str, *, resume: bool = True) -> dict[str, Any]:
        """With ``resume`` and a last checkpoint: everything of it. Else the weights of ``path``."""
        last = self.get_checkpoint_file()
        if resume and last:
            return self.load(last, strict=True)
        if last:
            logger.info("%s is of an earlier run: resume=True would go on from it", last)
        return self.load(path, checkpointables=[])

    def load(
        self, path: str, checkpointables: Iterable[str] | None = None, *, strict: bool = False
    ) -> dict[str, Any]:
        """Load weights and ``checkpointables`` (None: all); what else the file holds.

        What did not fit is logged; with ``strict`` it is an error, and so is it always when
        nothing fits. No path, nothing loaded.
        """
        if not path:
            logger.info("no checkpoint given: the model starts as it was built")
            return {}
        state = load_any(path)
        report = load_weights(unwrap(self.model), find_state_dict(state), strict=strict)
        logger.info("loaded %s: %s", path, report)
        rest = {k: v for k, v in state.items() if k not in ("model", "state_dict")}
        wanted = self.checkpointables if checkpointables is None else list(checkpointables)
        for key in wanted:
            if key in rest:
                self.checkpointables[key].load_state_dict(rest.pop(key))
            else:
                logger.warning("%s holds nothing called %r", path, key)
        return rest


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class PeriodicSaver:
    """Saves every ``period`` iterations as ``<prefix>_0000099`` and the last as ``_final``.

    Only ``max_to_keep`` periodic ones are kept, those of earlier starts included.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        period: int,
        max_iter: int | None = None,
        max_to_keep: int | None = None,
        file_prefix: str = "model",
    ) -> None:
        if max_to_keep is not None and max_to_keep < 1:
            raise ValueError(f"max_to_keep must be at least 1 or None, got {max_to_keep}")
        self.checkpointer, self.period, self.max_iter = checkpointer, int(period), max_iter
        self.max_to_keep, self.file_prefix = max_to_keep, file_prefix

    def step(self, iteration: int, **extra: Any) -> None:
        """Save if iteration ``iteration``, just finished, is one to save after."""
        state = {"iteration": int(iteration), **extra}
        if self.period > 0 and (iteration + 1) % self.period == 0:
            self.checkpointer.save(f"{self.file_prefix}_{iteration:07d}", **state)
            self._forget_old()
        if self.max_iter is not None and iteration >= self.max_iter - 1:
            self.checkpointer.save(f"{self.file_prefix}_final", **state)

    def save(self, name: str, **extra: Any) -> None:
        self.checkpointer.save(name, **extra)

    def _forget_old(self) -> None:
        if self.max_to_keep is None or not self.checkpointer.save_to_disk:
            return
        pattern = re.compile(re.escape(self.file_prefix) + r"_\d{7,}" + re.escape(SUFFIX))
        store = self.checkpointer.store
        regular = [entry for entry in store.entries() if pattern.fullmatch(entry.name)]
        regular.sort(key=lambda entry: entry.sequence)
        for entry in regular[: -self.max_to_keep]:
            try:
                store.delete(entry.name)
            except CheckpointError as error:
                logger.warning("kept: %s", error)


class PeriodicCheckpointer(PeriodicSaver, HookBase):
    """`PeriodicSaver` as a hook: saves in after_step.

    ``reached`` is the iteration in which it last had its turn: an error in a hook behind it finds
    the state as it would have saved it.
    """

    reached = -1

    def before_train(self) -> None:
        self.max_iter = self.trainer.max_iter
        self.reached = -1

    def after_step(self) -> None:
        iteration = self.trainer.iter
        self.step(iteration)
        self.reached = iteration


class BestCheckpointer(HookBase):
    """Saves ``<file_prefix>.pth`` whenever the metric ``val_metric`` is better than ever before.

    Looks every ``eval_period`` iterations and at the end; put it behind the EvalHook. The best
    value is part of the state; ``last_checkpoint`` stays with the regular checkpoints; NaN and
    infinities are never the best.
    """

    def __init__(
        self,
        eval_period: int,
        checkpointer: Checkpointer,
        val_metric: str,
        mode: str = "max",
        file_prefix: str = "model_best",
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"mode must be 'max' or 'min', got {mode!r}")
        self._period, self._checkpointer = eval_period, checkpointer
        self._metric, self._mode, self._prefix = val_metric, mode, file_prefix
        self.best_metric: float | None = None
        self.best_iter: int | None = None
        self._seen = -1
        self._resumed = False

    def before_train(self) -> None:
        """After a resume: an evaluation may have been made up for."""
        if self._resumed:
            self._look(self.trainer.iter - 1)
        self._resumed = False

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if self._period > 0 and done % self._period == 0 and done != self.trainer.max_iter:
            self._look(done - 1)

    def after_train(self) -> None:
        if self.trainer.iter >= self.trainer.max_iter:
            self._look(self.trainer.max_iter - 1)

    def _look(self, last: int) -> None:
        """Save if the metric's latest value is the best; ``last`` is the iteration that ended."""
        latest = self.trainer.storage.latest()
        if self._metric not in latest:
            hint = did_you_mean(self._metric, latest)
            logger.warning("no metric %r was put: no best checkpoint%s", self._metric, hint)
            return
        value, iteration = latest[self._metric]
        if iteration <= self._seen or not math.isfinite(value) or not self._better(value):
            return
        self._seen = iteration
        self.best_metric, self.best_iter = value, iteration
        self._checkpointer.save(self._prefix, tag=False, iteration=last)
        logger.info("best %s so far: %.5f at iteration %d", self._metric, value, iteration)

    def _better(self, value: float) -> bool:
        best = self.best_metric
        return best is None or (value > best if self._mode == "max" else value < best)

    def state_dict(self) -> dict[str, Any]:
        return {"best_metric": self.best_metric, "best_iter": self.best_iter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best_metric, self.best_iter = state["best_metric"], state["best_iter"]
        self._seen = -1 if self.best_iter is None else self.best_iter
        self._resumed = True

"""The hook that users subclass: a method for each moment of a run, in MMEngine's words."""

from __future__ import annotations

from typing import Any

from loopwright.core import POINTS, every

DataBatch = Any


class Hook:
    """Something to do at moments of a run; override the methods of the moments you need.

    Every method receives the runner first. ``before_train_iter`` and its kind go to
    ``_before_iter(runner, batch_idx, data_batch, mode)`` when not overridden themselves, so one
    generic method can serve training, validation and test. Give ``state_dict`` and
    ``load_state_dict`` to a hook whose memory must survive a resume.

    >>> class Hello(Hook):
    ...     priority = "LOW"
    ...     def after_train_epoch(self, runner):
    ...         print(f"epoch {runner.epoch} done")
    """

    priority: str | int = "NORMAL"
    on_error: str = "stop"  # "disable": an error leaves the hook out and the run goes on
    stages = tuple(point for point in POINTS if "step" not in point and "backward" not in point)

    # -- the whole run ---------------------------------------------------------------------
    def before_run(self, runner: Any) -> None: ...
    def after_run(self, runner: Any) -> None: ...
    def before_train(self, runner: Any) -> None: ...
    def after_train(self, runner: Any) -> None: ...
    def before_val(self, runner: Any) -> None: ...
    def after_val(self, runner: Any) -> None: ...
    def before_test(self, runner: Any) -> None: ...
    def after_test(self, runner: Any) -> None: ...
    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None: ...
    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None: ...

    # -- epochs ----------------------------------------------------------------------------
    def before_train_epoch(self, runner: Any) -> None:
        self._before_epoch(runner, mode="train")

    def before_val_epoch(self, runner: Any) -> None:
        self._before_epoch(runner, mode="val")

    def before_test_epoch(self, runner: Any) -> None:
        self._before_epoch(runner, mode="test")

    def after_train_epoch(self, runner: Any) -> None:
        self._after_epoch(runner, mode="train")

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._after_epoch(runner, mode="val")

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._after_epoch(runner, mode="test")

    # -- iterations ------------------------------------------------------------------------
    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: DataBatch = None) -> None:
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="train")

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: DataBatch = None) -> None:
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="val")

    def before_test_iter(self, runner: Any, batch_idx: int, data_batch: DataBatch = None) -> None:
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="test")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None
    ) -> None:
        self._after_iter(
            runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="train"
        )

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None
    ) -> None:
        self._after_iter(
            runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="val"
        )

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: DataBatch = None, outputs: Any = None
    ) -> None:
        self._after_iter(
            runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="test"
        )

    # -- generic forms ---------------------------------------------------------------------
    def _before_epoch(self, runner: Any, mode: str = "train") -> None: ...
    def _after_epoch(self, runner: Any, mode: str = "train") -> None: ...
    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: DataBatch = None, mode: str = "train"
    ) -> None: ...
    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DataBatch = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None: ...

    # -- when ------------------------------------------------------------------------------
    def every_n_epochs(self, runner: Any, n: int, start: int = 0) -> bool:
        """Whether the epoch being finished is a multiple of n, counted from ``start``."""
        return every(runner.epoch + 1, n, start)

    def every_n_train_iters(self, runner: Any, n: int, start: int = 0) -> bool:
        """Whether the iteration being finished is a multiple of n, counted from ``start``."""
        return every(runner.iter + 1, n, start)

    def every_n_inner_iters(self, batch_idx: int, n: int) -> bool:
        """Whether the batch is the n-th, 2n-th, ... of its epoch."""
        return every(batch_idx + 1, n)

    def end_of_epoch(self, dataloader: Any, batch_idx: int) -> bool:
        """Whether the batch is the last of its loader."""
        return batch_idx + 1 == len(dataloader)

    def is_last_train_epoch(self, runner: Any) -> bool:
        return runner.epoch + 1 == runner.max_epochs

    def is_last_train_iter(self, runner: Any) -> bool:
        return runner.iter + 1 == runner.max_iters


GENERIC = {
    f"{when}_{mode}_{what}": f"_{when}_{what}"
    for when in ("before", "after")
    for mode in ("train", "val", "test")
    for what in ("epoch", "iter")
}

"""EMAHook: keeps an averaged copy of the model, evaluates it and saves it."""

from __future__ import annotations

from typing import Any

from loopwright import checkpoint as checkpoints
from loopwright import model as models
from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS, MODELS


@HOOKS.register_module()
class EMAHook(Hook):
    """Follows the model after each update; validation and test see the average.

    ``ema_type`` names the average (``ExponentialMovingAverage``, ``MomentumAnnealingEMA``,
    ``StochasticWeightAverage`` or your own), further arguments go to it (``momentum``, ``gamma``,
    ``interval``, ``update_buffers``). Until ``begin_iter`` or ``begin_epoch`` the average is the
    model itself. A checkpoint holds the average as ``state_dict`` and the training weights as
    ``ema_state_dict``, as MMEngine's do, so that loading weights from it gives the average.
    ``strict_load`` is accepted without effect: a saved average must fit its model.
    """

    priority = "NORMAL"

    def __init__(
        self,
        ema_type: str = "ExponentialMovingAverage",
        strict_load: bool = False,
        begin_iter: int = 0,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        if begin_iter < 0 or begin_epoch < 0 or (begin_iter and begin_epoch):
            raise ValueError(
                "give at most one of begin_iter and begin_epoch, not negative, got "
                f"{begin_iter} and {begin_epoch}"
            )
        self.ema_cfg = {**kwargs, "type": ema_type}
        self.strict_load = strict_load
        self.begin_iter = begin_iter
        self.begin_epoch = begin_epoch
        self.ema_model: Any = None
        self._model: Any = None
        self._swapped = False

    def before_run(self, runner: Any) -> None:
        if self.ema_model is None:  # else a resume before the run has made it
            self._model = runner.model
            self.ema_model = MODELS.build(self.ema_cfg, model=runner.model)

    def before_train(self, runner: Any) -> None:
        if runner.iter == 0:
            # Weights were initialised or loaded after the copy was made.
            self.ema_model.module.load_state_dict(models.unwrap(runner.model).state_dict())

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not runner.optim_wrapper.last_update or runner.optim_wrapper.last_step_skipped:
            return
        # MMEngine counts from 1: begin_epoch=1 averages from the first epoch on.
        if runner.iter + 1 >= self.begin_iter and runner.epoch + 1 >= self.begin_epoch:
            self.ema_model.update_parameters(runner.model)

    def before_val_epoch(self, runner: Any) -> None:
        self._swap(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._swap(runner)

    before_test_epoch = before_val_epoch
    after_test_epoch = after_val_epoch

    def after_run(self, runner: Any) -> None:
        """A validation that was cut short left the average in the model."""
        if self._swapped:
            self._swap(runner)

    def _swap(self, runner: Any) -> None:
        if self.ema_model.steps:
            # The trained model, also where a test runs through a wrapper around it.
            self.ema_model.swap(self._model)
            self._swapped = not self._swapped

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """The average becomes the checkpoint's weights, the raw ones are kept beside it.

        In a validation that was cut short the model holds the average already.
        """
        copy = dict(self.ema_model.module.state_dict())
        model = checkpoint["state_dict"]
        checkpoint["ema_state_dict"] = copy if self._swapped else model
        if self.ema_model.steps and not self._swapped:
            checkpoint["state_dict"] = copy
        checkpoint["ema_steps"] = self.ema_model.steps

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """A resumed run gets both back; weights loaded alone are the average."""
        raw = checkpoint.get("ema_state_dict")
        if raw is None or "progress" not in checkpoint or not runner.resuming:
            if self.ema_model is not None:
                self.ema_model.steps = 0  # an average of other weights
            return
        self.before_run(runner)
        average, checkpoint["state_dict"] = checkpoint["state_dict"], raw
        checkpoints.load_weights(self.ema_model.module, average, strict=True)
        self.ema_model.steps = int(checkpoint["ema_steps"])

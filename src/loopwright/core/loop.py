"""What one iteration is: say, fetch, step, say, count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from loopwright.core.progress import Progress
from loopwright.core.requests import Requests
from loopwright.core.table import HookTable

Step = Callable[[Any], Any]

_END = object()


class TrainLoop:
    """Runs iterations; it builds nothing and knows neither model nor optimizer.

    ``step`` is called with a batch and returns what ``after_train_iter`` shows to the hooks.
    """

    def __init__(
        self, step: Step, hooks: HookTable, progress: Progress, requests: Requests
    ) -> None:
        self.step = step
        self.hooks = hooks
        self.progress = progress
        self.requests = requests

    def run_iters(self, batches: Iterator[Any], until: int | None = None) -> None:
        """Run until ``until`` iterations are finished, the batches end, or a halt is asked for."""
        hooks, progress, requests = self.hooks, self.progress, self.requests
        while (until is None or progress.iter < until) and requests.halting is None:
            if hooks["before_step"]:
                hooks.say("before_step")
            batch = next(batches, _END)
            if batch is _END:
                return
            self.run_iter(progress.batch, batch)

    def run_iter(self, batch_idx: int, data_batch: Any) -> None:
        """One iteration with a batch in hand, counted at its end."""
        hooks, progress = self.hooks, self.progress
        try:
            for call in hooks["before_train_iter"]:
                call(batch_idx=batch_idx, data_batch=data_batch)
            outputs = self.step(data_batch)
            for call in hooks["after_train_iter"]:
                call(batch_idx=batch_idx, data_batch=data_batch, outputs=outputs)
            if hooks["after_step"]:
                hooks.say("after_step")
        except Exception as error:
            error.add_note(f"in iteration {progress.iter} (0-based), epoch {progress.epoch}")
            raise
        progress.iter += 1
        progress.batch = batch_idx + 1

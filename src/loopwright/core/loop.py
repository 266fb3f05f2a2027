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
    ``iterate``, if set, is called with (batch_idx, batch) in place of ``run_iter``: a face lets its
    users' own iteration in there. ``agree``, if set, is called between iterations: several
    processes share their wishes there. ``prompt`` grants a wish to stop at the end of the iteration
    instead of leaving it to the face. ``whole`` says whether the state is that between two
    iterations; an error may leave it False. ``failed_in_step`` says that an error came out of the
    step: the model may have seen the batch.
    """

    iterate: Callable[[int, Any], None] | None = None
    agree: Callable[[], None] | None = None
    prompt = False
    whole = True
    failed_in_step = False

    def __init__(
        self, step: Step, hooks: HookTable, progress: Progress, requests: Requests
    ) -> None:
        self.step = step
        self.hooks = hooks
        self.progress = progress
        self.requests = requests

    def run_iters(self, batches: Iterator[Any], until: int | None = None) -> None:
        """Run until ``until`` iterations are finished, the batches end, or a halt is asked for."""
        progress, requests = self.progress, self.requests
        iterate = self.iterate or self.run_iter
        while (until is None or progress.iter < until) and requests.halting is None:
            if self.prompt and requests.stopping is not None:
                return
            self.hooks.say("before_step")
            batch = next(batches, _END)
            if batch is _END:
                return
            batch_idx = progress.batch
            iterate(batch_idx, batch)
            progress.batch = batch_idx + 1
            if self.agree is not None:
                self.agree()
            if requests.saving is not None:
                self.on_save()

    def on_save(self) -> None:
        """What is done at the end of an iteration in which a checkpoint was asked for."""

    def run_iter(self, batch_idx: int, data_batch: Any) -> None:
        """One iteration with a batch in hand, counted at its end."""
        hooks, progress = self.hooks, self.progress
        try:
            self.whole = False  # a hook that was told once must not be told again
            hooks.say("before_train_iter", batch_idx=batch_idx, data_batch=data_batch)
            self.whole = True
            outputs = self.step(data_batch)
            self.whole = False
            hooks.say(
                "after_train_iter", batch_idx=batch_idx, data_batch=data_batch, outputs=outputs
            )
            hooks.say("after_step")
        except Exception as error:
            self.failed_in_step = self.whole
            error.add_note(f"in iteration {progress.iter} (0-based), epoch {progress.epoch}")
            raise
        progress.iter += 1
        self.whole = True

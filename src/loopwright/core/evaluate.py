"""What one evaluation is: say, step, say for every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from loopwright.core.requests import Requests
from loopwright.core.table import HookTable


class EvalLoop:
    """Runs validation (``mode='val'``) or test (``'test'``) batches through ``step``.

    ``collect`` receives (batch, outputs) before the hooks do; ``iterate``, if set, is called with
    (batch_idx, batch) in place of ``run_iter``. A halt that is asked for ends it.
    """

    iterate: Callable[[int, Any], None] | None = None

    def __init__(
        self,
        step: Callable[[Any], Any],
        collect: Callable[[Any, Any], None],
        hooks: HookTable,
        mode: Literal["val", "test"],
        requests: Requests,
    ) -> None:
        self.step = step
        self.collect = collect
        self.hooks = hooks
        self.mode = mode
        self.requests = requests

    def run_batches(self, batches: Iterable[Any]) -> int:
        """Evaluate every batch and return how many there were."""
        iterate, count = self.iterate or self.run_iter, 0
        for batch_idx, batch in enumerate(batches):
            if self.requests.halting is not None:
                break
            iterate(batch_idx, batch)
            count += 1
        return count

    def run_iter(self, batch_idx: int, data_batch: Any) -> None:
        """One evaluation step with a batch in hand."""
        facts = {"batch_idx": batch_idx, "data_batch": data_batch}
        self.hooks.say(f"before_{self.mode}_iter", **facts)
        outputs = self.step(data_batch)
        self.collect(data_batch, outputs)
        self.hooks.say(f"after_{self.mode}_iter", **facts, outputs=outputs)

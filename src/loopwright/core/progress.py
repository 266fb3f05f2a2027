"""Where a run is: counters that only loops and restoring write."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Finished iterations and epochs, 0-based, and the limits of the run.

    ``iter`` is the index of the iteration being run, which equals the number of finished ones;
    inside ``after_train_iter`` it is still the index of the iteration that just ended.
    ``batch`` is the index of the next batch inside the epoch, so that a run resumes in mid-epoch.
    ``validated`` is the count (of epochs or iterations) at the last finished validation.
    ``None`` as a limit means that there is none.
    """

    iter: int = 0
    epoch: int = 0
    batch: int = 0
    validated: int = 0
    max_iters: int | None = None
    max_epochs: int | None = None

    def state_dict(self) -> dict[str, int]:
        """The counters; the limits belong to the config."""
        return {name: getattr(self, name) for name in _COUNTERS}

    def load_state_dict(self, state: dict[str, int]) -> None:
        for name in _COUNTERS:
            setattr(self, name, int(state[name]))


_COUNTERS = ("iter", "epoch", "batch", "validated")

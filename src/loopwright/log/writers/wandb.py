"""WandbWriter: a Weights & Biases run, online or offline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["WandbWriter"]


class WandbWriter(Tracker):
    """Logs to a run of its own; `iter` is the x axis, so that late values keep their iteration.

    `init_kwargs` go to `wandb.init` (`mode="offline"` needs no network). A resumed run continues
    under its old id.

    Raises:
        ImportError: at once when wandb is not installed.
    """

    def __init__(
        self,
        save_dir: str | os.PathLike[str] | None = None,
        *,
        init_kwargs: Mapping[str, Any] | None = None,
        define_metric_cfg: Mapping[str, str] | None = None,
        commit: bool = True,
    ) -> None:
        super().__init__()
        optional("wandb", "loopwright[wandb]")
        self.save_dir, self.init_kwargs = save_dir, dict(init_kwargs or {})
        self.summaries, self.commit = dict(define_metric_cfg or {}), commit
        self.run_id: str | None = None

    def open(self) -> Any:
        """A run whose x axis is the iteration."""
        options = dict(self.init_kwargs)
        if self.save_dir is not None:
            Path(self.save_dir).mkdir(parents=True, exist_ok=True)
            options.setdefault("dir", str(self.save_dir))
        if self.run_id is not None:
            options |= {"id": self.run_id, "resume": "allow"}
        run = optional("wandb", "loopwright[wandb]").init(**options)
        run.define_metric("iter")
        run.define_metric("*", step_metric="iter")
        for name, summary in self.summaries.items():
            run.define_metric(name, summary=summary, step_metric="iter")
        self.run_id = run.id
        return run

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One row of history."""
        self.experiment.log({"iter": iteration, **numbers}, commit=self.commit)

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """One row with an image."""
        image = optional("wandb", "loopwright[wandb]").Image(pixels)
        self.experiment.log({"iter": iteration, name: image}, commit=self.commit)

    def log_text(self, name: str, text: str) -> None:
        """A file in the run's folder."""
        run = self.experiment
        path = Path(run.dir) / name
        path.write_text(text)
        run.save(str(path), base_path=run.dir, policy="now")

    def end(self, experiment: Any) -> None:
        """Finish the run."""
        experiment.finish()

    def state_dict(self) -> dict[str, Any]:
        """The last iteration and the run id."""
        return {**super().state_dict(), "run_id": self.run_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the run of the checkpoint."""
        super().load_state_dict(state)
        self.run_id = state["run_id"]

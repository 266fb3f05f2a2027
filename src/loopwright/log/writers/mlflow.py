"""MLflowWriter: a run in an MLflow store (files, a database or a server)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from loopwright.log.record import LogRecord
from loopwright.log.writers.tracker import Tracker, optional

__all__ = ["MLflowWriter"]

_FORBIDDEN = re.compile(r"[^\w\-./ :]")


class MLflowWriter(Tracker):
    """Logs through MlflowClient, so that no global "active run" is touched.

    A resumed run continues under its old run id.

    Raises:
        ImportError: at once when mlflow is not installed.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        experiment: str = "Default",
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        artifact_location: str | None = None,
    ) -> None:
        super().__init__()
        optional("mlflow", "loopwright[mlflow]")
        self.tracking_uri, self.name, self.run_name = tracking_uri, experiment, run_name
        self.tags, self.params = dict(tags or {}), dict(params or {})
        self.artifact_location = artifact_location
        self.run_id: str | None = None

    def open(self) -> Any:
        """A client with a run of our own."""
        if str(self.tracking_uri).startswith("file:"):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 refuses otherwise
        client = optional("mlflow", "loopwright[mlflow]").MlflowClient(self.tracking_uri)
        if self.run_id is None:
            found = client.get_experiment_by_name(self.name)
            number = (
                found.experiment_id
                if found is not None
                else client.create_experiment(self.name, self.artifact_location)
            )
            run = client.create_run(number, tags=self.tags, run_name=self.run_name)
            self.run_id = run.info.run_id
            for key, value in self.params.items():
                client.log_param(self.run_id, key, value)
        else:
            client.update_run(self.run_id, status="RUNNING")
        return client

    def log_numbers(self, numbers: Mapping[str, float], iteration: int, record: LogRecord) -> None:
        """One request for all numbers of an iteration."""
        entities = optional("mlflow.entities", "loopwright[mlflow]")
        stamp = int(record.wall_time * 1000)
        metrics = [
            entities.Metric(_FORBIDDEN.sub("_", name), value, stamp, iteration)
            for name, value in numbers.items()
        ]
        client = self.experiment
        client.log_batch(self.run_id, metrics=metrics)

    def log_image(self, name: str, pixels: Any, iteration: int) -> None:
        """A PNG artifact named by iteration."""
        client = self.experiment
        file = f"images/{_FORBIDDEN.sub('_', name)}_{iteration}.png"
        client.log_image(self.run_id, pixels, artifact_file=file)

    def log_text(self, name: str, text: str) -> None:
        """A text artifact."""
        client = self.experiment
        client.log_text(self.run_id, text, name)

    def end(self, experiment: Any) -> None:
        """Mark the run finished."""
        experiment.set_terminated(self.run_id)

    def state_dict(self) -> dict[str, Any]:
        """The last iteration and the run id."""
        return {**super().state_dict(), "run_id": self.run_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the run of the checkpoint."""
        super().load_state_dict(state)
        self.run_id = state["run_id"]

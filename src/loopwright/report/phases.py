"""Where a run's wall-clock time went, from its records."""

from __future__ import annotations

from typing import Any

from loopwright.report.run import Run

PHASES = (
    "training",
    "waiting for data",
    "validation and test",
    "checkpoints and the rest",
    "start",
)


def phases(run: Run) -> dict[str, float]:
    """Seconds by phase.

    The time between two records belongs to the later one's phase; of training, the iterations'
    own times are known and what they leave is charged to checkpoints and the rest. Time in which
    no process ran is not counted.
    """
    spent = dict.fromkeys(PHASES, 0.0)
    begins = sorted(float(s["time"]) for s in run.sessions if s["what"] == "start")
    before: dict[str, Any] | None = None
    for entry in run.timing:
        now = float(entry["wall_time"])
        begin = max((b for b in begins if b <= now + 1), default=None)
        fresh = before is None or (begin is not None and begin > float(before["wall_time"]))
        since = (begin if begin is not None else now) if fresh else float(before["wall_time"])  # type: ignore[index]
        gap = max(now - since, 0.0)
        done = 0 if fresh or before is None else int(entry["iter"]) - int(before["iter"])
        _charge(spent, entry, gap, done)
        before = entry
    return {name: seconds for name, seconds in spent.items() if seconds}


def _charge(spent: dict[str, float], entry: dict[str, Any], gap: float, done: int) -> None:
    if entry.get("tag") != "train":
        spent["validation and test"] += gap
        return
    if done <= 0:
        spent["start" if entry.get("time") is not None else "checkpoints and the rest"] += gap
        return
    took = min(done * float(entry.get("time") or 0.0), gap)
    waited = min(done * float(entry.get("data_time") or 0.0), took)
    spent["training"] += took - waited
    spent["waiting for data"] += waited
    spent["checkpoints and the rest"] += gap - took

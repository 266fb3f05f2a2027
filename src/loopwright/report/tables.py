"""Rows for comparing and listing runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopwright.config.provenance import short, walk_leaves
from loopwright.report.run import Run
from loopwright.report.secrets import redacted_value

MISSING = "-"
Row = tuple[str, ...]


def config_differences(runs: Sequence[Run]) -> list[Row]:
    """(path, value in each run) for every config entry that is not the same in all."""
    leaves = [
        {} if run.config is None else {p: short(v) for p, v in walk_leaves(run.config)}
        for run in runs
    ]
    paths = list(dict.fromkeys(path for one in leaves for path in one))
    rows = [(path, *(one.get(path, MISSING) for one in leaves)) for path in paths]
    return [
        (path, *(redacted_value(path, value) for value in values))
        for path, *values in rows
        if len(set(values)) > 1 and path != "work_dir"
    ]


def metric_rows(runs: Sequence[Run]) -> list[Row]:
    """(metric, best in each run with its iteration), then (scalar, last in each run)."""
    best = [run.best() for run in runs]
    names = list(dict.fromkeys(name for one in best for name in one))
    rows: list[Row] = [
        (f"best {n}", *(_best(one[n]) if n in one else MISSING for one in best)) for n in names
    ]
    last = [
        {n: v for n, v in run.last().items() if not n.startswith(("val/", "test/"))} for run in runs
    ]
    for name in dict.fromkeys(name for one in last for name in one):
        rows.append((f"last {name}", *(f"{o[name]:.5g}" if name in o else MISSING for o in last)))
    return rows


def _best(found: tuple[float, int]) -> str:
    return f"{found[0]:.5g} @ {found[1]}"


def facts_of(runs: Sequence[Run]) -> list[Row]:
    """State, length and environment of each run, as rows."""
    rows: list[Row] = [
        ("state", *(run.state for run in runs)),
        ("iterations", *(str(run.iter) for run in runs)),
        ("seed", *(str(run.environment.get("seed", MISSING)) for run in runs)),
    ]
    for key in ("device", "world_size", "commit"):
        values = [str(run.environment.get(key) or MISSING)[:28] for run in runs]
        rows.append((key, *values))
    return rows


HEAD = ("run", "state", "iterations", "best", "started", "device")


def run_row(run: Run) -> Row:
    """One run in the table of a folder."""
    best = [f"{name} {value:.4g} @ {at}" for name, (value, at) in list(run.best().items())[:2]]
    env: dict[str, Any] = run.environment
    return (
        str(run.folder),
        run.state,
        str(run.iter),
        "  ".join(best) or MISSING,
        str(env.get("started", MISSING)),
        str(env.get("device", MISSING)),
    )

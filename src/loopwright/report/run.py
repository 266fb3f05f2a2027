"""Reading a run folder: numbers, config, environment, sessions and pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.config import Config, ConfigDict, ConfigError

POSITION = ("tag", "iter", "epoch", "step", "samples", "wall_time")
Curve = list[tuple[int, float]]
Entry = dict[str, Any]


class NoRunError(ValueError):
    """The folder is no run's."""


@dataclass(frozen=True)
class Run:
    """What is in a run folder; a file that is not there gives an empty part."""

    folder: Path
    metrics: list[Entry]
    timing: list[Entry]
    sessions: list[Entry]
    environment: Entry
    origins: dict[str, list[list[str]]]
    config: ConfigDict | None
    config_text: str
    pictures: list[Path]

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    def curves(self) -> dict[str, Curve]:
        """Every scalar as (iteration, value) pairs; validation's under ``val/``."""
        found: dict[str, Curve] = {}
        for entry in self.metrics:
            prefix = "" if entry["tag"] == "train" else f"{entry['tag']}/"
            for name, value in _values(entry):
                found.setdefault(prefix + name, []).append((int(entry["iter"]), value))
        return found

    def validations(self) -> list[Entry]:
        """One entry a validation or test, oldest first."""
        return [entry for entry in self.metrics if entry["tag"] != "train"]

    def best(self) -> dict[str, tuple[float, int]]:
        """The best value of each validation metric and its iteration."""
        curves = {n.removeprefix("val/"): c for n, c in self.curves().items() if n[:4] == "val/"}
        return {name: best_of(name, curve) for name, curve in curves.items()}

    def last(self) -> Entry:
        """The last value of each scalar."""
        return {name: curve[-1][1] for name, curve in self.curves().items()}

    @property
    def iter(self) -> int:
        return max((int(entry["iter"]) for entry in self.metrics), default=0)

    @property
    def state(self) -> str:
        """Whether it finished, was stopped, or what is not known."""
        if not self.sessions:
            return "unknown"
        newest = self.sessions[-1]
        if newest["what"] == "start":
            return "running or killed"
        return f"stopped: {newest['reason']}" if newest.get("reason") else "finished"


def best_of(name: str, curve: Curve) -> tuple[float, int]:
    """The best value and its iteration: the lowest of a loss or error, the highest of the rest.

    >>> best_of("mIoU", [(1, 0.5), (2, 0.7), (3, float("nan"))])
    (0.7, 2)
    """
    finite = [(value, at) for at, value in curve if value == value] or [(curve[0][1], curve[0][0])]
    choose = min if lower_is_better(name) else max
    return choose(finite, key=lambda pair: pair[0])


def lower_is_better(name: str) -> bool:
    """Whether a metric is a loss or an error by its name.

    >>> lower_is_better("night/loss_seg"), lower_is_better("mIoU")
    (True, False)
    """
    return any(word in name.rpartition("/")[2].lower() for word in ("loss", "error", "mae", "mse"))


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Everything readable in a run folder.

    Raises NoRunError for a folder without ``metrics.jsonl``; the message names runs below it.
    """
    place = Path(folder)
    if not (place / "metrics.jsonl").is_file():
        below = ", ".join(str(r) for r in find_runs(place)[:3]) if place.is_dir() else ""
        hint = f"; runs below it: {below}" if below else ""
        raise NoRunError(f"{place} is no run folder: it has no metrics.jsonl{hint}")
    log = _newest_log(place)
    config, text = _config(place)
    return Run(
        folder=place,
        metrics=[e for e in _lines(place / "metrics.jsonl") if "iter" in e and "tag" in e],
        timing=[e for e in _lines(place / "timing.jsonl") if "wall_time" in e],
        sessions=_sessions(place / "sessions.jsonl"),
        environment=_json(log / "environment.json") if log else {},
        origins=_json(log / "config_origins.json") if log else {},
        config=config,
        config_text=text,
        pictures=sorted((place / "vis_image").glob("*.png"), key=_age) if place.is_dir() else [],
    )


def find_runs(folder: str | os.PathLike[str]) -> list[Path]:
    """Every run folder in and below a folder, except those set aside by a newer run."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "earlier_")))
        if "metrics.jsonl" in files:
            found.append(Path(place))
            folders.clear()
    return found


def _values(entry: Entry) -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if name not in POSITION and isinstance(value, int | float):
            yield name, float(value)


def _lines(path: Path) -> list[Entry]:
    """The JSON objects of a file; the last line may be half written."""
    found = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                found.append(entry)
    return found


def _sessions(path: Path) -> list[Entry]:
    """Beginnings and ends of this run; what lies before its start belongs to an earlier one."""
    entries = [e for e in _lines(path) if {"what", "iter", "time"} <= set(e)]
    first = max(
        (i for i, e in enumerate(entries) if e["what"] == "start" and not e["iter"]), default=0
    )
    return entries[first:]


def _json(path: Path) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _newest_log(place: Path) -> Path | None:
    found = sorted(path.parent for path in place.glob("*/environment.json"))
    return found[-1] if found else None


def _config(place: Path) -> tuple[ConfigDict | None, str]:
    """The dumped config as data where it can be read, and as text."""
    for path in sorted(place.glob("*.py"), key=_age, reverse=True):
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            return Config.fromstring(text, ".py")._cfg_dict, text
        except (ConfigError, OSError, SyntaxError):
            return None, text
    return None, ""


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name

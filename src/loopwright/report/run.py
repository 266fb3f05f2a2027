"""Reading a run folder: numbers, config, environment, sessions and pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.config import Config, ConfigDict, ConfigError

MOST_BYTES = 16 * 2**20  # of a file that is read whole
MOST_LINE = 2**20  # bytes of one JSON line
_LAST = 2**53  # above every iteration and time
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
        metrics=[e for e in _lines(place / "metrics.jsonl") if _is_record(e)],
        timing=[e for e in _lines(place / "timing.jsonl") if _is_timing(e)],
        sessions=_sessions(place / "sessions.jsonl"),
        environment=_json(log / "environment.json") if log else {},
        origins=_origins(_json(log / "config_origins.json")) if log else {},
        config=config,
        config_text=text,
        pictures=sorted(filter(_is_own, (place / "vis_image").glob("*.png")), key=_age),
    )


def find_runs(folder: str | os.PathLike[str]) -> list[Path]:
    """Every run folder in and below a folder, except those set aside by a newer run."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "earlier_")))
        if "metrics.jsonl" in files and Path(place, "metrics.jsonl").is_file():
            found.append(Path(place))
            folders.clear()
    return found


def _values(entry: Entry) -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if name not in POSITION and isinstance(value, int | float):
            yield name, float(value)


def _is_own(path: Path) -> bool:
    """Whether a file of a run is a plain one: a link may lead to what is not the run's to show."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _lines(path: Path) -> list[Entry]:
    """The JSON objects of a file; what is no such line (the last, half written) is passed by."""
    found: list[Entry] = []
    if not _is_own(path):
        return found
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(MOST_LINE), b""):
            entry = _parsed(line.decode("utf-8", "replace"))
            if isinstance(entry, dict):
                found.append(entry)
    return found


def _parsed(text: str) -> Any:
    """What a JSON text holds, None for one that is none or cannot be written out again."""
    try:
        found = json.loads(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # half a character is a ValueError too
        return None
    return found


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LAST


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 2**37  # until the year 6325


def _is_record(entry: Entry) -> bool:
    """Whether it says where in the run it was made; numbers too large for a float are taken out."""
    for name in [n for n, v in entry.items() if type(v) is int and abs(v) > 10**300]:
        del entry[name]
    if not _is_count(entry.get("epoch", 0)):
        del entry["epoch"]
    return _is_count(entry.get("iter")) and isinstance(entry.get("tag"), str)


def _is_timing(entry: Entry) -> bool:
    spent = [entry.get(name) or 0 for name in ("time", "data_time")]
    return _is_time(entry.get("wall_time")) and all(map(_is_time, spent)) and _is_record(entry)


def _is_session(entry: Entry) -> bool:
    right = isinstance(entry.get("what"), str) and isinstance(entry.get("reason", ""), str | None)
    return right and _is_count(entry.get("iter")) and _is_time(entry.get("time"))


def _sessions(path: Path) -> list[Entry]:
    """Beginnings and ends of this run; what lies before its start belongs to an earlier one."""
    entries = list(filter(_is_session, _lines(path)))
    first = max(
        (i for i, e in enumerate(entries) if e["what"] == "start" and not e["iter"]), default=0
    )
    return entries[first:]


def _text(path: Path) -> str:
    """A file of the run that is read whole; of one that is too large the beginning."""
    if not _is_own(path):
        return ""
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", "replace")


def _json(path: Path) -> Entry:
    found = _parsed(_text(path))
    return found if isinstance(found, dict) else {}


def _origins(found: Entry) -> dict[str, list[list[str]]]:
    """The chains of values and places that are such."""

    def is_step(step: Any) -> bool:
        return isinstance(step, list) and [type(part) for part in step] == [str, str]

    return {
        path: steps
        for path, steps in found.items()
        if isinstance(steps, list) and steps and all(map(is_step, steps))
    }


def _newest_log(place: Path) -> Path | None:
    found = sorted(path.parent for path in place.glob("*/environment.json"))
    return found[-1] if found else None


def _config(place: Path) -> tuple[ConfigDict | None, str]:
    """The dumped config as data where it can be read, and as text."""
    for path in sorted(filter(_is_own, place.glob("*.py")), key=_age, reverse=True):
        text = _text(path)
        try:
            return Config.fromstring(text, ".py")._cfg_dict, text
        except (ConfigError, OSError, SyntaxError):
            return None, text
    return None, ""


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name

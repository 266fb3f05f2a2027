"""What can go wrong with samples and workers, and what is kept of it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple


class DataError(ValueError):
    """A loader, dataset or sampler that cannot give what was asked for."""

    exit_code = 2  # a mistake in the config


class SampleError(RuntimeError):
    """A sample that could not be loaded; says which, and from which file."""


class WorkerError(RuntimeError):
    """A loader worker that died or hung more often than it may."""


class DatasetChangedError(DataError):
    """A dataset that is not the one a checkpoint was made with."""


class BadSample(NamedTuple):
    """One sample that raised, and what took its place."""

    epoch: int
    sample: int
    path: str
    error: str
    replaced_by: int


def path_of(dataset: Any, index: int) -> str:
    """The file a sample comes from, where the dataset can say it without loading it; else ''."""
    try:
        if hasattr(dataset, "get_data_info"):
            info = dataset.get_data_info(index)
            return str(info.get("img_path") or info.get("file_name") or info.get("path") or "")
        if hasattr(dataset, "samples"):
            sample = dataset.samples[index]
            return str(sample[0] if isinstance(sample, tuple | list) else sample)
        if hasattr(dataset, "path_of"):
            return str(dataset.path_of(index))
        if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):
            return path_of(dataset.dataset, dataset.indices[index])
    except Exception:
        return ""
    return ""


def sample_error(dataset: Any, index: int, epoch: int, error: BaseException) -> SampleError:
    """The error for a sample that raised ``error``: index, path, dataset, epoch and cause."""
    path = path_of(dataset, index)
    where = f" ({path})" if path else ""
    said = f"{type(error).__name__}: {error}"
    return SampleError(
        f"sample {index}{where} of {type(dataset).__name__} failed in epoch {epoch}: {said}"
    )


class BadSamples:
    """Counts broken samples that were replaced, lists each once, and stops at a share of them.

    ``cap`` is the largest allowed share of distinct broken samples (at least one is allowed);
    each is a line of ``file`` (``bad_samples.jsonl``) where one is given.
    """

    def __init__(self, length: int, *, cap: float = 0.001, file: str | None = None) -> None:
        self.allowed = max(1, int(length * cap))
        self.cap = cap
        self.length = length
        self.file = file
        self.seen: dict[int, BadSample] = {}
        self.replacements = 0

    def __len__(self) -> int:
        return len(self.seen)

    def note(self, bad: BadSample) -> None:
        """Take one in. Raises SampleError when there are more than allowed."""
        self.replacements += 1
        if bad.sample in self.seen:
            return
        self.seen[bad.sample] = bad
        said = f"sample {bad.sample}{f' ({bad.path})' if bad.path else ''}: {bad.error}"
        warnings.warn(f"broken {said}; sample {bad.replaced_by} takes its place", stacklevel=2)
        if self.file is not None:
            _append(Path(self.file), bad)
        if len(self.seen) > self.allowed:
            raise SampleError(
                f"{len(self.seen)} of {self.length} samples are broken, more than the "
                f"{self.allowed} that max_bad_samples={self.cap} allows; the last one: {said}"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"replacements": self.replacements, "seen": [list(b) for b in self.seen.values()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.replacements = state["replacements"]
        self.seen = {row[1]: BadSample(*row) for row in state["seen"]}


def _append(file: Path, bad: BadSample) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(bad._asdict()) + "\n")
    except OSError as error:
        warnings.warn(f"cannot list broken samples in {file}: {error}", stacklevel=2)

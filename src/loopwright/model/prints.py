"""Fingerprints: what the parameters of a model were, as hashes that can be kept and compared.

No torch in here, so that comparing runs starts at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loopwright.config import ConfigError

_BEGINNING = re.compile("[0-9a-fA-F]{6,64}")


@dataclass(frozen=True, slots=True)
class TensorPrint:
    """One tensor: hash of its shape, type and bytes; whether it is trained."""

    sha256: str
    shape: tuple[int, ...]
    dtype: str
    parameter: bool

    def as_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        kind = "parameter" if self.parameter else "buffer"
        return {"sha256": self.sha256, "shape": list(self.shape), "dtype": self.dtype, "kind": kind}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The start of a run: one hash a tensor, by name, and one over all of them."""

    tensors: Mapping[str, TensorPrint]

    @property
    def total(self) -> str:
        """One hash of names and tensors, in the order of names."""
        joined = hashlib.sha256()
        for name in sorted(self.tensors):
            joined.update(f"{name}\0{self.tensors[name].sha256}\0".encode())
        return joined.hexdigest()

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(_size(t.shape) for t in self.tensors.values() if t.parameter)

    def __str__(self) -> str:
        millions = self.parameters / 1e6
        return f"init params {self.total[:12]} ({len(self.tensors)} tensors, {millions:.1f}M)"

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        tensors = {name: tensor.as_dict() for name, tensor in self.tensors.items()}
        text = json.dumps({"version": 1, "total": self.total, "tensors": tensors}, indent=1)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Fingerprint:
        """Read what `save` wrote. Raises ValueError for a file that is not, or was changed."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            read = cls({name: _tensor(entry) for name, entry in data["tensors"].items()})
            stated = data["total"]
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is not a fingerprint: {error!r}") from error
        if read.total != stated:
            raise ValueError(
                f"{path} was changed: its total is {stated}, its tensors' {read.total}"
            )
        return read


def _tensor(entry: Mapping[str, object]) -> TensorPrint:
    shape = entry["shape"]
    if not isinstance(shape, list) or any(type(side) is not int for side in shape):
        raise TypeError(f"shape must be a list of sizes, got {shape!r:.60}")
    return TensorPrint(
        str(entry["sha256"]), tuple(shape), str(entry["dtype"]), entry["kind"] == "parameter"
    )


def _size(shape: Iterable[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def diff(a: Fingerprint, b: Fingerprint) -> str:
    """What the first difference is, in a sentence or a few; '' when there is none.

    >>> one = TensorPrint("aa", (2,), "float32", True)
    >>> two = TensorPrint("bb", (2,), "float32", True)
    >>> print(diff(Fingerprint({"x": one, "y": one}), Fingerprint({"x": one, "y": two})))
    first 1 tensors equal, first difference y: other values (1 of 2 tensors differ)
    """
    if a.total == b.total:
        return ""
    moved = _only_moved(a, b)
    if moved:
        return moved
    return _missing(a, b) + _changed(a, b)


def _only_moved(a: Fingerprint, b: Fingerprint) -> str:
    """A sentence where the tensors are the same and only their names are not."""
    if list(a.tensors) == list(b.tensors):
        return ""
    here, there = list(a.tensors.items()), list(b.tensors.items())
    if [t.sha256 for _, t in here] != [t.sha256 for _, t in there]:
        return ""
    old, new = next((x, y) for (x, _), (y, _) in zip(here, there, strict=True) if x != y)
    return f"the same {len(here)} tensors under other names, first {old} is now {new}"


def _missing(a: Fingerprint, b: Fingerprint) -> str:
    gone = [name for name in a.tensors if name not in b.tensors]
    new = [name for name in b.tensors if name not in a.tensors]
    said = ""
    if gone:
        said += f"{len(gone)} tensors only in the first, first {gone[0]}\n"
    if new:
        said += f"{len(new)} tensors only in the second, first {new[0]}\n"
    return said


def _changed(a: Fingerprint, b: Fingerprint) -> str:
    shared = [name for name in a.tensors if name in b.tensors]
    other = [name for name in shared if a.tensors[name].sha256 != b.tensors[name].sha256]
    if not other:
        return f"all {len(shared)} tensors in both are equal"
    first = other[0]
    before = shared.index(first)
    how = _how(a.tensors[first], b.tensors[first])
    start = f"first {before} tensors equal, " if before else ""
    return f"{start}first difference {first}: {how} ({len(other)} of {len(shared)} tensors differ)"


def _how(a: TensorPrint, b: TensorPrint) -> str:
    if a.shape != b.shape:
        return f"shape {list(a.shape)} is now {list(b.shape)}"
    if a.dtype != b.dtype:
        return f"dtype {a.dtype} is now {b.dtype}"
    return "other values"


def checked_expected(expected: str | None, origin: object = None) -> str | None:
    """`expected` if it is the beginning of a hash, or None; else ConfigError (with its origin).

    >>> checked_expected("3fa1c0")
    '3fa1c0'
    """
    if expected is None or (isinstance(expected, str) and _BEGINNING.fullmatch(expected)):
        return expected
    quotes = "" if isinstance(expected, str) else " without quotes around it"
    raise ConfigError(
        f"expect_init must be 6 to 64 hex digits of a hash, as text, got {expected!r}{quotes}",
        origin,
    )


def check_expected(found: Fingerprint, expected: str | None, origin: object = None) -> None:
    """Raises ConfigError unless the total starts with `expected`; None expects nothing."""
    wanted = checked_expected(expected, origin)
    if wanted is not None and not found.total.startswith(wanted.lower()):
        raise ConfigError(
            f"expect_init is {wanted}, but the initial parameters are {found.total[:12]}: see "
            "what differs with `loopwright fingerprint diff RUN_A RUN_B`",
            origin,
        )

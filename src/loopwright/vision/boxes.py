"""Bad boxes found, repaired, clipped, dropped and counted: pure functions over arrays.

One fixed order: finite, corners, how much lies outside, clip, size, duplicates, area and mask.
A box that is dropped for one cause is not looked at for the next, so drops add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from loopwright.vision.policy import CAUSES, MEANING, AnnotationError, Policy

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]
FARTHEST = 2.0**53  # from here on a float cannot tell one pixel from the next


@dataclass(frozen=True)
class Findings:
    """What was found in ``total`` boxes: the rows of each cause, and what was done about it."""

    total: int
    rows: Mapping[str, Rows]
    actions: Mapping[str, str]

    def __bool__(self) -> bool:
        return any(len(rows) for rows in self.rows.values())

    def counts(self) -> dict[str, int]:
        """How many boxes each cause has, without causes that have none."""
        return {cause: len(rows) for cause, rows in self.rows.items() if len(rows)}

    def table(self) -> dict[str, dict[str, int]]:
        """Cause to action to count."""
        return {cause: {self.actions[cause]: n} for cause, n in self.counts().items()}

    @property
    def dropped(self) -> int:
        return sum(n for cause, n in self.counts().items() if self.actions[cause] == "drop")

    @property
    def share_dropped(self) -> float:
        return self.dropped / self.total if self.total else 0.0


@dataclass(frozen=True)
class Repaired:
    """Boxes (m, 4) that are left, in order; which rows they were; what to ignore; their area."""

    boxes: Floats
    index: Rows
    findings: Findings
    ignore: Bools
    area: Floats


class _Sieve:
    """The state of one pass: which boxes are left, which are ignored, what was found."""

    def __init__(self, count: int, policy: Policy) -> None:
        self.policy = policy
        self.alive = np.ones(count, bool)
        self.ignore = np.zeros(count, bool)
        self.rows: dict[str, Rows] = {}

    def found(self, cause: str, bad: Bools) -> Bools:
        """Note a cause; gives the bad boxes that stay."""
        bad = bad & self.alive
        rows = np.flatnonzero(bad)
        self.rows[cause] = np.union1d(self.rows[cause], rows) if cause in self.rows else rows
        action = getattr(self.policy, cause)
        if action in ("drop", "error"):
            self.alive &= ~bad
        if action == "ignore":
            self.ignore |= bad
        return bad & self.alive


def repair(
    boxes: ArrayLike,
    size: ArrayLike,
    policy: Policy | None = None,
    *,
    labels: ArrayLike | None = None,
    image: ArrayLike | None = None,
    area: ArrayLike | None = None,
    extent: ArrayLike | None = None,
    mask_area: ArrayLike | None = None,
    name: Callable[[int], str] = str,
) -> Repaired:
    """Repair xyxy boxes (n, 4) of an image of ``size`` (width, height), or one size a box (n, 2).

    ``labels`` (n,) and ``image`` (n,) say which boxes can be duplicates of each other; ``area``
    (n,), NaN where not known, and of the masks ``extent`` (n, 4), their frames, and ``mask_area``
    (n,), NaN where there is no mask, are compared with the boxes that come out. Raises
    AnnotationError where the policy says error, with the ``name`` of the first boxes. Doing it
    twice changes nothing.

    >>> done = repair([[30, 40, 10, 20], [-5, -5, 20, 20], [200, 0, 210, 9]], (100, 100))
    >>> done.boxes.tolist(), done.index.tolist()
    ([[10.0, 20.0, 30.0, 40.0], [0.0, 0.0, 20.0, 20.0]], [0, 1])
    >>> done.findings.table()
    {'reversed': {'repair': 1}, 'outside': {'drop': 1}, 'partly_outside': {'clip': 1}}
    """
    policy = policy or Policy()
    # Column by column in memory: a third of the time of row by row.
    raw = np.asfortranarray(np.asarray(boxes, np.float64).reshape(-1, 4))
    far = np.asarray(size, np.float64)
    far = np.asfortranarray(far) if far.ndim == 2 else np.broadcast_to(far, (len(raw), 2))
    sieve = _Sieve(len(raw), policy)
    put = _corners(raw, sieve)
    put = _inside(put, far, sieve)
    _sizes(put, labels, image, sieve)
    put = _masks(put, far, extent, sieve)
    if policy.mask == "repair" and len(sieve.rows.get("mask", ())):
        _sizes(put, labels, image, sieve)  # a frame can be small, or that of another box
    areas = _areas(put, raw, area, extent, mask_area, sieve)
    findings = Findings(len(raw), sieve.rows, {c: getattr(policy, c) for c in CAUSES})
    _raise_errors(findings, raw, name)
    index = np.flatnonzero(sieve.alive)
    left = np.ascontiguousarray(put[index])
    return Repaired(left, index, findings, sieve.ignore[index], areas[index])


def _corners(raw: Floats, sieve: _Sieve) -> Floats:
    finite = ~_any(~(np.abs(raw) <= FARTHEST))
    sieve.found("not_finite", ~finite)
    first, second = raw[:, :2], raw[:, 2:]
    with np.errstate(invalid="ignore"):
        sieve.found("reversed", _any(first > second))
    put = np.concatenate([np.minimum(first, second), np.maximum(first, second)], 1)
    put[~finite] = 0
    return put + 0.0  # -0.0 and 0.0 are one coordinate


def _inside(put: Floats, far: Floats, sieve: _Sieve) -> Floats:
    """Measure what lies outside, then clip."""
    clipped = np.concatenate([np.clip(put[:, :2], 0, far), np.clip(put[:, 2:], 0, far)], 1)
    with np.errstate(over="ignore"):
        whole, left = _area(put), _area(clipped)
    gone: Bools = ((put[:, 2:] <= 0) | (put[:, :2] >= far)).any(1) & (clipped != put).any(1)
    gone = gone | (put[:, :2] >= far).any(1)
    if sieve.policy.min_visible > 0:
        gone = gone | ((whole > 0) & (left < sieve.policy.min_visible * whole))
    sieve.found("outside", gone)
    over: Bools = np.abs(clipped - put).max(1, initial=0) > sieve.policy.tolerance
    partly = sieve.found("partly_outside", over)
    if sieve.policy.partly_outside == "keep":
        return np.where(partly[:, None], put, clipped)
    return clipped


def _any(table: Any) -> Bools:
    found: Bools = np.asarray(table.any(axis=1))
    return found


def _area(boxes: Floats) -> Floats:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _sizes(put: Floats, labels: Any, image: Any, sieve: _Sieve) -> None:
    """Find boxes without an inside, small ones and duplicates."""
    smaller: Floats = (put[:, 2:] - put[:, :2]).min(1, initial=np.inf)
    sieve.found("empty", smaller <= 0)
    sieve.found("too_small", smaller < sieve.policy.min_size - 1e-9)
    sieve.found("duplicate", _repeated(put, sieve.alive, labels, image))


def _repeated(put: Floats, alive: Bools, labels: Any, image: Any) -> Bools:
    """Which boxes are there already, of the same image and label; found by a hash of the row."""
    rows = np.flatnonzero(alive)
    columns = [put[rows, i] for i in range(4)]
    columns += [np.asarray(c)[rows].astype(np.float64) for c in (labels, image) if c is not None]
    hashed = np.zeros(len(rows), np.uint64)
    for column in columns:
        hashed = (hashed ^ np.ascontiguousarray(column).view(np.uint64)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        hashed ^= hashed >> np.uint64(29)
    _, first, which = np.unique(hashed, return_index=True, return_inverse=True)
    earlier = first[which.reshape(-1)]
    same = earlier < np.arange(len(rows))
    for column in columns:
        same &= column == column[earlier]
    repeated = np.zeros(len(put), bool)
    repeated[rows[same]] = True
    return repeated


def _masks(put: Floats, far: Floats, extent: Any, sieve: _Sieve) -> Floats:
    """Compare boxes with the frames of their masks; where told to, take the frame."""
    if extent is None:
        return put
    frame = np.asarray(extent, np.float64).reshape(-1, 4)
    there = ~_any(~(np.abs(frame) <= FARTHEST))
    frame = np.where(there[:, None], frame, put)
    frame = np.concatenate([np.clip(frame[:, :2], 0, far), np.clip(frame[:, 2:], 0, far)], 1)
    there &= (frame[:, 2:] > frame[:, :2]).all(1)
    bad = sieve.found("mask", there & (overlap(put, frame) < 0.5))
    return np.where(bad[:, None], frame, put) if sieve.policy.mask == "repair" else put


def overlap(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes, row by row; 0 where both are empty."""
    corner = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    inter = corner.clip(0).prod(1)
    union = _area(a) + _area(b) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def _areas(
    put: Floats, raw: Floats, area: Any, extent: Any, mask_area: Any, sieve: _Sieve
) -> Floats:
    """The stored areas where they can be right, else those of the masks or boxes.

    A box that moved and has no mask takes its own area without a finding of its own.
    """
    of_box = _area(put)
    if area is None:
        return of_box
    of_mask = np.full(len(put), np.nan) if mask_area is None else np.asarray(mask_area, np.float64)
    stored = np.asarray(area, np.float64)
    moved = _any(put != raw)
    if extent is not None:
        moved &= _any(np.isnan(np.asarray(extent, np.float64).reshape(-1, 4)))
    given = ~np.isnan(stored)
    with np.errstate(invalid="ignore", over="ignore"):
        own = np.where(of_mask > 0, of_mask, of_box)
        most = np.fmax(of_box, of_mask) * 1.02 + 1
        wrong: Bools = given & ~moved & ~((stored > 0) & (stored <= most)) & (stored != own)
    bad = sieve.found("area", wrong)
    return np.where((bad & (sieve.policy.area == "repair")) | moved | ~given, own, stored)


def _raise_errors(findings: Findings, raw: Floats, name: Callable[[int], str]) -> None:
    said = []
    for cause, rows in findings.rows.items():
        if findings.actions[cause] == "error" and len(rows):
            shown = "; ".join(f"{name(row)}: {raw[row].tolist()}" for row in rows[:3].tolist())
            said.append(f"{len(rows)} boxes are {cause} ({MEANING[cause]}), first: {shown}")
    if said:
        raise AnnotationError(". ".join(said))


def check_budget(
    findings: Findings, policy: Policy, unreadable: Mapping[str, int] | None = None
) -> None:
    """Raises AnnotationError where more boxes were dropped than the policy's budget allows.

    ``unreadable`` counts by cause what could not even become a box.
    """
    causes = {c: n for c, n in findings.counts().items() if findings.actions[c] == "drop"}
    causes |= unreadable or {}
    dropped, total = sum(causes.values()), findings.total + sum((unreadable or {}).values())
    if policy.budget is None or dropped <= policy.budget * total:
        return
    raise AnnotationError(
        f"{dropped} of {total} boxes would be dropped ({100 * dropped / total:.2f} %), more than "
        f"the budget of {100 * policy.budget:g} %: "
        f"{', '.join(f'{n} {c}' for c, n in causes.items())}. Look at them, or raise the budget"
    )

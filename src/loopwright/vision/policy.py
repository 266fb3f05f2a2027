"""What to do about bad boxes: a policy for each cause, and from where it is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from loopwright.core.nearest import nearest_or_all

ACTIONS: dict[str, tuple[str, ...]] = {
    "not_finite": ("drop", "error"),
    "reversed": ("repair", "drop", "ignore", "error"),
    "outside": ("drop", "error"),
    "partly_outside": ("clip", "drop", "ignore", "keep", "error"),
    "empty": ("drop", "error"),
    "too_small": ("drop", "ignore", "keep", "error"),
    "duplicate": ("drop", "ignore", "keep", "error"),
    "mask": ("keep", "repair", "drop", "ignore", "error"),
    "area": ("repair", "keep", "error"),
}
CAUSES = tuple(ACTIONS)
MEANING = {
    "not_finite": "a coordinate is NaN, infinite or beyond any image",
    "reversed": "a minimum is larger than its maximum",
    "outside": "nothing, or too little, of the box is inside the image",
    "partly_outside": "a part of the box is outside the image",
    "empty": "no width or no height",
    "too_small": "narrower or lower than min_size",
    "duplicate": "the same box and class as an earlier one of the image",
    "mask": "box and mask overlap by less than half",
    "area": "the stored area cannot be that of the box or mask",
}


class AnnotationError(ValueError):
    """Annotations that the policy does not let pass."""


@dataclass(frozen=True)
class Policy:
    """What to do about each cause, and from where it is one.

    ``repair`` puts right, ``clip`` cuts at the border, ``drop`` leaves the object out, ``ignore``
    keeps it as a region that neither trains nor counts, ``keep`` only counts it, ``error`` stops.
    ``min_size`` is in pixels after clipping; under ``min_visible`` (a share of the box's area) it
    counts as outside; ``tolerance`` pixels over the border are no finding. ``budget`` is the
    largest share of boxes that may be dropped, ``suspicion`` what to do when the format looks
    wrong ('error', 'warn' or 'keep').
    """

    not_finite: str = "drop"
    reversed: str = "repair"
    outside: str = "drop"
    partly_outside: str = "clip"
    empty: str = "drop"
    too_small: str = "drop"
    duplicate: str = "drop"
    mask: str = "keep"
    area: str = "repair"
    min_size: float = 1.0
    min_visible: float = 0.0
    tolerance: float = 0.01
    budget: float | None = 0.01
    suspicion: str = "error"

    def __post_init__(self) -> None:
        for cause, actions in ACTIONS.items():
            _one_of(cause, getattr(self, cause), actions)
        _one_of("suspicion", self.suspicion, ("error", "warn", "keep"))
        if self.budget is not None and not 0 <= self.budget <= 1:
            raise ValueError(f"policy budget must be a share from 0 to 1 or None: {self.budget}")
        if not 0 <= self.min_visible <= 1:
            raise ValueError(f"policy min_visible must be a share from 0 to 1: {self.min_visible}")
        if not (self.min_size >= 0 and self.tolerance >= 0):
            sizes = f"min_size={self.min_size}, tolerance={self.tolerance}"
            raise ValueError(f"policy min_size and tolerance are pixels, 0 or more: {sizes}")


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"policy {name} must be one of {', '.join(known)}; got {value!r}")


def policy_of(given: Mapping[str, Any] | Policy | None) -> Policy:
    """A policy from a config dict. Raises ValueError for an unknown cause, with the nearest one.

    >>> policy_of({"reversed": "drop"}).reversed
    'drop'
    """
    if isinstance(given, Policy):
        return given
    known = [field.name for field in fields(Policy)]
    for key in given or {}:
        if key not in known:
            raise ValueError(f"policy has no {key!r}{nearest_or_all(key, known)}")
    return Policy(**dict(given or {}))


def strict(policy: Policy) -> Policy:
    """The policy with every cause an error."""
    errors: dict[str, Any] = dict.fromkeys(CAUSES, "error")
    return replace(policy, **errors, suspicion="error")

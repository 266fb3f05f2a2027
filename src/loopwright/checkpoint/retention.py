"""Pure decisions about checkpoints: which to delete, which metric value is better."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, Protocol

Rule = Literal["greater", "less"]

GREATER_KEYS = ("acc", "top", "AR@", "auc", "precision", "mAP", "mDice", "mIoU", "mAcc", "aAcc")
LESS_KEYS = ("loss",)


class Kept(Protocol):
    """What `retain` asks of an entry."""

    @property
    def name(self) -> str:
        """Its name in the store."""

    @property
    def step(self) -> int:
        """Iterations done when it was made."""

    @property
    def sequence(self) -> int:
        """Which save of the store it was."""

    @property
    def good(self) -> bool:
        """Whether it may stand in for older ones (finite weights)."""


def retain(entries: Iterable[Kept], max_keep: int, protect: Collection[str] = ()) -> list[str]:
    """Names to delete, oldest first, so that the newest ``max_keep`` good ones stay.

    Counted without those in ``protect`` (which never go). ``max_keep`` < 1 keeps all. One that is
    not good is no successor: nothing older goes on its account.

    >>> from types import SimpleNamespace as E
    >>> made = [E(name=f"epoch_{k}", step=k, sequence=k, good=k != 4) for k in (1, 2, 3, 4)]
    >>> retain(made, 1), retain(made, 2), retain(made, 1, protect={"epoch_1"}), retain(made, -1)
    (['epoch_1', 'epoch_2'], ['epoch_1'], ['epoch_2'], [])
    """
    if max_keep < 1:
        return []
    free = sorted(
        (entry for entry in entries if entry.name not in protect),
        key=lambda entry: (entry.step, entry.sequence),
    )
    good = [place for place, entry in enumerate(free) if entry.good]
    if len(good) <= max_keep:
        return []
    return [entry.name for entry in free[: good[-max_keep]]]


def better(new: float, old: float | None, rule: Rule) -> bool:
    """Whether ``new`` beats ``old``; NaN beats nothing, and everything else beats NaN or none.

    >>> better(0.5, 0.4, "greater"), better(0.5, 0.4, "less"), better(float("nan"), None, "less")
    (True, False, False)
    """
    if math.isnan(new):
        return False
    if old is None or math.isnan(old):
        return True
    return new > old if rule == "greater" else new < old


def infer_rule(
    metric: str,
    greater_keys: Sequence[str] | None = None,
    less_keys: Sequence[str] | None = None,
) -> Rule:
    """Whether more or less of ``metric`` is better, from its name.

    Case does not count. Asked in turn: is it one of the greater keys, one of the less keys, does
    it contain a greater key, a less key. ``ValueError`` when nothing tells.

    >>> infer_rule("coco/bbox_mAP"), infer_rule("val_loss"), infer_rule("top1_loss")
    ('greater', 'less', 'greater')
    """
    name = metric.lower()
    greater = [key.lower() for key in (GREATER_KEYS if greater_keys is None else greater_keys)]
    less = [key.lower() for key in (LESS_KEYS if less_keys is None else less_keys)]
    if name in greater:
        return "greater"
    if name in less:
        return "less"
    if any(key in name for key in greater):
        return "greater"
    if any(key in name for key in less):
        return "less"
    raise ValueError(
        f"cannot tell whether more of {metric!r} is better; say rule='greater' or rule='less', "
        f"or add it to greater_keys (now {list(greater)}) or less_keys (now {list(less)})"
    )

"""What differs between two configs, leaf by leaf, each side with the place it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loopwright.config.node import ConfigDict
from loopwright.config.paths import join_path
from loopwright.config.provenance import Origin, short, walk_places

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "—"})()


@dataclass(frozen=True, slots=True)
class Difference:
    """One path whose values differ; ``ABSENT`` stands where a side lacks it."""

    path: str
    left: Any
    right: Any
    left_origin: Origin | None = None
    right_origin: Origin | None = None

    def __str__(self) -> str:
        left = f"{short(self.left)}" + (f"  ({self.left_origin})" if self.left_origin else "")
        right = f"{short(self.right)}" + (f"  ({self.right_origin})" if self.right_origin else "")
        return f"{self.path}\n  - {left}\n  + {right}"


def differences(left: ConfigDict, right: ConfigDict) -> list[Difference]:
    """Every leaf that is not the same on both sides, in the order of the left.

    >>> [d.path for d in differences(ConfigDict(a=1, b=dict(c=2)), ConfigDict(a=1, b=dict(c=3)))]
    ['b.c']
    """
    mine, yours = _leaves(left), _leaves(right)
    result = []
    for path in {**mine, **yours}:
        one, one_origin = mine.get(path, (ABSENT, None))
        other, other_origin = yours.get(path, (ABSENT, None))
        if type(one) is not type(other) or one != other:
            result.append(Difference(path, one, other, one_origin, other_origin))
    return result


def _leaves(node: ConfigDict) -> dict[str, tuple[Any, Origin | None]]:
    return {join_path(keys): (value, place) for keys, value, place in walk_places(node)}

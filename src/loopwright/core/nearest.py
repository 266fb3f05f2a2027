"""What somebody meant who wrote a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "nearest_or_all"]

MANY = 20
"""More names than this are not all told in one line."""


def did_you_mean(
    name: object, known: Iterable[object], *, most: int = 1, cutoff: float = 0.6
) -> str:
    """The end of an error message: the known names nearest to one, or "" where none is near.

    There are `most` of them at most; `cutoff` is how alike they must be, from 0 to 1.

    >>> "no key 'epchos'" + did_you_mean("epchos", ["epochs", "iters"])
    "no key 'epchos'; did you mean 'epochs'?"
    >>> did_you_mean("epchos", ["seed"])
    ''
    """
    near = get_close_matches(str(name), [str(one) for one in known], n=most, cutoff=cutoff)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def nearest_or_all(name: object, known: Iterable[object]) -> str:
    """As `did_you_mean`, or where none is near all that are known: for names that are few.

    >>> "no key 'lr'" + nearest_or_all("lr", ["begin", "end"])
    "no key 'lr'; there are: begin, end"
    """
    names = [str(one) for one in known]
    if hint := did_you_mean(name, names):
        return hint
    more = ", …" if len(names) > MANY else ""
    return f"; there are: {', '.join(names[:MANY])}{more}" if names else ""

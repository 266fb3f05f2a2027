"""What somebody meant who wrote a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: object, known: Iterable[object], *, cutoff: float = 0.6) -> str:
    """The end of an error message: the known name nearest to one, or "" where none is near.

    ``cutoff`` is how alike they must be, from 0 to 1.

    >>> "no key 'epchos'" + did_you_mean("epchos", ["epochs", "iters"])
    "no key 'epchos'; did you mean 'epochs'?"
    >>> did_you_mean("epchos", ["seed"])
    ''
    """
    near = get_close_matches(str(name), [str(one) for one in known], n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""

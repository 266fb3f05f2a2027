"""What of a run is worth saving after an error: decided here, written by the faces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Salvage:
    """Whether an error leaves a state to save: ``against`` says why not.

    ``good`` is False for a state that would come to the same error again: a resume goes on from an
    earlier one.
    """

    against: str | None = None
    good: bool = True


def salvage(
    error: BaseException, *, whole: bool, in_window: bool = False, scattered: bool = False
) -> Salvage:
    """What to do with the state that an error left.

    ``whole``: it is that between two iterations; ``in_window``: gradients are in flight;
    ``scattered``: processes must come together to tell it, of which one may have failed alone.

    >>> salvage(ValueError("a bad sample"), whole=True)
    Salvage(against=None, good=True)
    >>> salvage(FloatingPointError("loss is NaN"), whole=True).good
    False
    >>> salvage(ValueError("a bad hook"), whole=False).against
    'the state is not whole after this error: no checkpoint written'
    """
    if scattered:
        return Salvage("the state lies on several processes: no checkpoint after an error")
    if not whole or in_window:
        return Salvage("the state is not whole after this error: no checkpoint written")
    return Salvage(good=not isinstance(error, FloatingPointError))

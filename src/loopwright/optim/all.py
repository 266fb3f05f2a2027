"""Every module of this package that registers something: import it and all names are there."""

from loopwright.optim import (
    amp,
    apex,
    constructor,
    lamb,
    lars,
    layer_decay,
    library_constructors,
    many,
    multi,
    plateau,
    scheduler,
    wrapper,
    zero,
)

__all__ = [
    "amp",
    "apex",
    "constructor",
    "lamb",
    "lars",
    "layer_decay",
    "library_constructors",
    "many",
    "multi",
    "plateau",
    "scheduler",
    "wrapper",
    "zero",
]

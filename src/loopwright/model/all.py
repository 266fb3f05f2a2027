"""Every module of this package that registers something: import it and all names are there."""

from loopwright.model import (
    averaged,
    dense,
    init,
    module,
    preprocessor,
    pretrained,
    sharded,
    tta,
    wrap,
)

__all__ = [
    "averaged",
    "dense",
    "init",
    "module",
    "preprocessor",
    "pretrained",
    "sharded",
    "tta",
    "wrap",
]

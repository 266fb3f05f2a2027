"""Every module of this package that registers something: import it and all names are there."""

from loopwright.model import init, module, preprocessor, pretrained, wrap

__all__ = ["init", "module", "preprocessor", "pretrained", "wrap"]

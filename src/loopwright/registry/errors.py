"""What can be wrong with a name or with the arguments given to it."""

from __future__ import annotations


class UnknownNameError(KeyError):
    """A name that no registry in reach knows; the message lists the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class RefusedNameError(ValueError):
    """A dotted path outside the packages that a config may name."""


class BuildError(TypeError):
    """A known class or function that cannot be built from the arguments given."""

"""A name that a config imports, kept as a name: resolved at build time, never while reading."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deferred:
    """The imported name ``module.name``, not yet resolved; a bare module has no ``name``.

    >>> Deferred("torch.optim", "AdamW").dotted
    'torch.optim.AdamW'
    """

    module: str
    name: str = ""

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module

    def child(self, name: str) -> Deferred:
        """The attribute ``name`` of what this stands for, as a name again."""
        return Deferred(self.dotted, name)

    def __str__(self) -> str:
        return self.dotted

    def __repr__(self) -> str:
        return f"<{self.dotted}>"

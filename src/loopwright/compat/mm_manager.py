"""MMEngine's base class of objects that are found by name."""

from __future__ import annotations

from loopwright.log.instances import Named

__all__ = ["ManagerMeta", "ManagerMixin"]

ManagerMeta = type
"""The metaclass that MMEngine asks for; nothing needs one here."""


class ManagerMixin(Named):
    """A base class; ``get_instance(name)`` makes or finds one, its constructor takes the name.

    >>> class Counter(ManagerMixin):
    ...     def __init__(self, name, start=0):
    ...         super().__init__(name)
    ...         self.value = start
    >>> Counter.get_instance("demo", start=3) is Counter.get_instance("demo")
    True
    """

    def __init__(self, name: str = "") -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"{type(self).__name__} needs a non-empty name, got {name!r}")
        self.instance_name = name

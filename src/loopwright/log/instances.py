"""Named: MMEngine's `get_instance` and `get_current_instance`, with a bounded table."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Self

__all__ = ["Named"]

_KEPT = 64


class Named:
    """Base of classes whose objects are found by name.

    `get_instance(name)` makes or finds one; the last 64 a class are kept. An object made by its
    constructor belongs to whoever made it and enters no table: two runs of the same name never
    share one. `with obj.current():` makes it the one that `get_current_instance` answers, in this
    context; so each of two runs in one process sees its own.
    """

    _table: ClassVar[OrderedDict[str, Any]]
    _chosen: ClassVar[ContextVar[tuple[Any, ...]]]
    _live: ClassVar[list[Any]]
    _guard: ClassVar[threading.Lock]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._table, cls._live, cls._guard = OrderedDict(), [], threading.Lock()
        cls._chosen = ContextVar(f"current_{cls.__name__}", default=())

    instance_name: str

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """The object of that name: the current one, one made before, or a new one from `kwargs`."""
        if not isinstance(name, str) or not name:
            raise ValueError(f"{cls.__name__} needs a non-empty name, got {name!r}")
        known = cls._find(name)
        if known is not None:
            return known
        made = cls(name, **kwargs)  # type: ignore[call-arg]
        with cls._guard:
            found = cls._table.setdefault(name, made)
            while len(cls._table) > _KEPT:
                cls._table.popitem(last=False)
        return found

    @classmethod
    def _find(cls, name: str) -> Self | None:
        for candidate in reversed(cls._chosen.get()):
            if candidate.instance_name == name:
                return candidate
        with cls._guard:
            return cls._table.get(name)

    @classmethod
    def check_instance_created(cls, name: str) -> bool:
        """Whether `get_instance(name)` would find rather than make."""
        return cls._find(name) is not None

    @classmethod
    def get_current_instance(cls) -> Self:
        """The one of the surrounding `with obj.current():`, else the last that `get_instance` made.

        Raises:
            RuntimeError: there is none.
        """
        chosen = cls._chosen.get()
        if chosen:
            return chosen[-1]
        with cls._guard:
            if cls._live:
                return cls._live[-1]
            if cls._table:
                return next(reversed(cls._table.values()))
        raise RuntimeError(
            f"no {cls.__name__} was made yet: call {cls.__name__}.get_instance(name)"
        )

    @contextmanager
    def current(self) -> Iterator[Self]:
        """Be the current one inside the block, in this context (thread or task)."""
        cls = type(self)
        token = cls._chosen.set((*cls._chosen.get(), self))
        with cls._guard:
            cls._live.append(self)
        try:
            yield self
        finally:
            cls._chosen.reset(token)
            with cls._guard:
                cls._live.remove(self)

    @classmethod
    def forget_instances(cls) -> None:
        """Drop what `get_instance` made (for tests and notebooks)."""
        with cls._guard:
            cls._table.clear()

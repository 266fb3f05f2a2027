"""The hook table: order is decided when a hook is added, a call is a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from loopwright.core.points import POINTS

Call = Callable[..., Any]
Bind = Callable[[Any, str], "Call | None"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A hook with the number that orders it and the dialect that binds it."""

    hook: Any
    priority: int
    bind: Bind


class HookTable:
    """Hooks sorted once by priority (stable), bound once, one flat tuple of calls per point.

    ``bind(hook, point)`` gives the callable of a hook for a point, or None where the hook has
    nothing to say there; this is where a dialect of hooks ends.

    >>> class Hello:
    ...     def before_train(self): print("hello")
    >>> table = HookTable(lambda hook, point: getattr(hook, point, None))
    >>> table.add(Hello(), 50)
    >>> table.say("before_train")
    hello
    >>> table["after_train"]
    ()
    """

    def __init__(self, bind: Bind) -> None:
        self._bind = bind
        self._entries: list[Entry] = []
        self._calls: dict[str, tuple[Call, ...]] = dict.fromkeys(POINTS, ())

    def add(self, hook: Any, priority: int, bind: Bind | None = None) -> None:
        """Put a hook behind those of the same priority; ``bind`` for a hook of another dialect."""
        entry = Entry(hook, priority, bind or self._bind)
        at = next(
            (i for i, e in enumerate(self._entries) if e.priority > priority), len(self._entries)
        )
        self._entries.insert(at, entry)
        self._rebind()

    def remove(self, hook: Any) -> None:
        """Take a hook out."""
        self._entries = [entry for entry in self._entries if entry.hook is not hook]
        self._rebind()

    def _rebind(self) -> None:
        self._calls = {point: self._bound(point) for point in self._calls}

    def _bound(self, point: str) -> tuple[Call, ...]:
        bound = (entry.bind(entry.hook, point) for entry in self._entries)
        return tuple(call for call in bound if call is not None)

    def __getitem__(self, point: str) -> tuple[Call, ...]:
        """The calls of a point; a point outside the standard ones is bound when first asked for."""
        calls = self._calls.get(point)
        if calls is None:
            calls = self._calls[point] = self._bound(point)
        return calls

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def hooks(self) -> list[Any]:
        """The hooks in the order they run."""
        return [entry.hook for entry in self._entries]

    def say(self, point: str, **facts: Any) -> None:
        """Call every hook of a point in order; a failing one's error is told who and where.

        Raises whatever the hook raised, with a note naming the hook and the point.
        """
        for call in self[point]:
            try:
                call(**facts)
            except Exception as error:
                note(error, call, point)
                raise

    def say_all(self, point: str, **facts: Any) -> list[Exception]:
        """Call every hook of a point even where one fails, and return the errors (for endings)."""
        errors: list[Exception] = []
        for call in self[point]:
            try:
                call(**facts)
            except Exception as error:
                note(error, call, point)
                errors.append(error)
        return errors


def note(error: BaseException, call: Call, point: str) -> None:
    """Tell an error which hook raised it at which point."""
    bound = getattr(call, "func", call)
    owner = getattr(bound, "__self__", bound)
    name = getattr(owner, "__qualname__", type(owner).__qualname__)
    error.add_note(f"raised by hook {name} at {point}")

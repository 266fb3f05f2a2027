"""Which storages are entered: a stack in each context, and all of them for helper threads."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopwright.log.storage import EventStorage

__all__ = ["enter", "get_event_storage", "has_event_storage", "leave"]

_STACK: ContextVar[tuple[Any, ...]] = ContextVar("loopwright_event_storages", default=())
_ENTERED: list[Any] = []
_LOCK = threading.Lock()


def enter(storage: Any) -> None:
    """Put a storage on top of this context's stack."""
    _STACK.set((*_STACK.get(), storage))
    with _LOCK:
        _ENTERED.append(storage)


def leave(storage: Any) -> None:
    """Take the storage off the stack.

    Raises:
        RuntimeError: it is not the one on top.
    """
    stack = _STACK.get()
    if not stack or stack[-1] is not storage:
        raise RuntimeError("storages must be left in the opposite order of entering them")
    _STACK.set(stack[:-1])
    with _LOCK:
        _ENTERED.remove(storage)


def _candidates() -> list[Any]:
    """The top of this context's stack; without one, every storage entered anywhere."""
    stack = _STACK.get()
    if stack:
        return [stack[-1]]
    return list({id(s): s for s in list(_ENTERED)}.values())


def get_event_storage() -> EventStorage:
    """The storage whose `with` block is being run; in a helper thread the only one open at all.

    Raises:
        RuntimeError: there is none, or a thread of its own sees several.
    """
    candidates = _candidates()
    if len(candidates) == 1:
        found: EventStorage = candidates[0]
        return found
    if not candidates:
        raise RuntimeError(
            "no EventStorage is open: call get_event_storage() inside `with EventStorage():` "
            "(a training run opens one)"
        )
    raise RuntimeError(
        f"this thread entered no EventStorage and {len(candidates)} are open elsewhere"
    )


def has_event_storage() -> bool:
    """Whether `get_event_storage` would answer."""
    return len(_candidates()) == 1

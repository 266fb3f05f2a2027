"""Where a dialect of hooks ends: which methods of a hook a run calls, and with what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from loopwright.hooks.hook import GENERIC, Hook


def binder(runner: Any) -> Callable[[Any, str], Callable[..., Any] | None]:
    """``bind(hook, point)`` for a runner: the hook's method with the runner put in, or None.

    None where neither the method of the point nor the generic one it forwards to is overridden,
    on the class or on the instance.
    """

    def bind(hook: Any, point: str) -> Callable[..., Any] | None:
        method = getattr(hook, point, None)
        if method is None or not (_said(hook, point) or _said(hook, GENERIC.get(point))):
            return None
        call = partial(method, runner)
        if getattr(hook, "on_error", "stop") == "stop":
            return call
        return _forgiven(hook, point, call, runner.logger)

    return bind


def _forgiven(hook: Any, point: str, call: Callable[..., Any], logger: Any) -> Callable[..., Any]:
    """The call of a hook that only watches: its first error is told, then it is left out."""

    def watch(**facts: Any) -> None:
        if hook.on_error == "disabled":
            return
        try:
            call(**facts)
        except Exception:
            hook.on_error = "disabled"
            name = type(hook).__name__
            logger.warning(f"{name} failed at {point} and is left out from now on", exc_info=True)

    return watch


def own_bind(hook: Any, face: Any) -> Callable[[Any, str], Callable[..., Any] | None] | None:
    """The ``bind`` of a hook that speaks another dialect: what its ``attach(face)`` gives.

    None for a hook that has no ``attach``: it is bound as every hook of the face.
    """
    attach = getattr(hook, "attach", None)
    return attach(face) if callable(attach) else None


def _said(hook: Any, name: str | None) -> bool:
    """Whether a hook has a method of its own for a name, not the base class's empty one."""
    if name is None:
        return False
    if name in vars(hook):
        return True
    return getattr(type(hook), name, None) is not getattr(Hook, name, None)

"""HookBase: detectron2's dialect of hooks, bound to either face."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from loopwright.trainer.views import as_trainer

Call = Callable[..., Any]
POINTS = ("before_train", "after_train", "before_step", "after_backward", "after_step")


class HookBase:
    """Something to do at moments of a training; override the methods of the moments you need.

    ``self.trainer`` is the trainer (a weak reference). ``before_step`` must cost next to nothing:
    the time of an iteration is taken from there to ``after_step``. Give ``state_dict`` and
    ``load_state_dict`` to a hook whose memory must survive a resume.

    >>> class Hello(HookBase):
    ...     def after_step(self):
    ...         if self.trainer.iter % 100 == 0:
    ...             print(f"Hello at iteration {self.trainer.iter}!")
    """

    trainer: Any = None

    def before_train(self) -> None: ...
    def after_train(self) -> None: ...
    def before_step(self) -> None: ...
    def after_backward(self) -> None: ...
    def after_step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        """What must survive a resume; nothing here."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    def attach(self, face: Any) -> Callable[[Any, str], Call | None]:
        """Learn whose hook this is; the ``bind`` that a hook table asks for its methods."""
        view = as_trainer(face)
        self.trainer = weakref.proxy(face) if view is face else view
        return bind


def bind(hook: HookBase, point: str) -> Call | None:
    """The hook's method for a point, or None where it has none of its own."""
    method = getattr(hook, point, None)
    if method is None:
        return None
    own = point in vars(hook)
    overridden = getattr(type(hook), point, None) is not getattr(HookBase, point, None)
    return method if own or overridden else None

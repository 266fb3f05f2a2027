"""States of hooks by class name and number, so that two hooks of one class keep theirs apart."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from loopwright import dist

logger = logging.getLogger("loopwright.trainer")


def named(hooks: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Each hook with its name: the class's, with ``#2``, ``#3`` … from the second on.

    >>> [name for name, hook in named([1, "a", 2])]
    ['int', 'str', 'int#2']
    """
    seen: dict[str, int] = {}
    for hook in hooks:
        kind = type(hook).__qualname__
        seen[kind] = seen.get(kind, 0) + 1
        yield (kind if seen[kind] == 1 else f"{kind}#{seen[kind]}"), hook


def hook_states(hooks: Sequence[Any]) -> dict[str, Any]:
    """What every hook wants to keep; nothing of those that want nothing."""
    states = {name: hook.state_dict() for name, hook in named(hooks) if hasattr(hook, "state_dict")}
    return {name: state for name, state in states.items() if state}


def load_hook_states(hooks: Sequence[Any], states: dict[str, Any]) -> None:
    """Give each hook its state back; a state whose hook is gone is named in a warning.

    By the main process alone: it made the states, and the others may lack what writes for all.
    """
    known = dict(named(hooks))
    for name, state in states.items():
        load = getattr(known.get(name), "load_state_dict", None)
        if load is None and dist.is_main_process():
            logger.warning("the checkpoint holds state of hook %s, which this run lacks", name)
        elif load is not None:
            load(state)

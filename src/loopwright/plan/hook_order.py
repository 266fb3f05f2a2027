"""In which order hooks run at each point, and where each was configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loopwright.build.hooks import hook_configs
from loopwright.core import POINTS, get_priority
from loopwright.hooks.hook import GENERIC, Hook
from loopwright.plan.finding import Node
from loopwright.plan.names import NOT_FOUND
from loopwright.plan.structure import Lookup
from loopwright.registry import HOOKS


@dataclass(frozen=True, slots=True)
class PlannedHook:
    """A hook of the run: its class's name, the number that orders it, where it was said."""

    name: str
    priority: int
    where: str
    origin: str
    points: tuple[str, ...]


def hook_order(root: Node, lookup: Lookup) -> list[PlannedHook]:
    """Every hook in the order it runs; one whose class is unknown here has no points."""
    default, custom = root.value.get("default_hooks"), root.value.get("custom_hooks")
    planned = [
        _planned(root, where, cfg, lookup)
        for where, cfg in hook_configs(
            default if isinstance(default, dict) else None,
            list(custom) if isinstance(custom, list | tuple) else None,
            strict=False,
        )
    ]
    return sorted(planned, key=lambda hook: hook.priority)


def at_points(
    hooks: list[PlannedHook], modes: tuple[str, ...] = ("train", "val", "test")
) -> dict[str, list[PlannedHook]]:
    """Point to the hooks that act there, in order; points where none does are left out.

    So are those of modes that the run does not have.
    """
    without = [m for m in ("train", "val", "test") if m not in modes]
    points = [p for p in POINTS if not any(mode in p.split("_") for mode in without)]
    return {p: there for p in points if (there := [h for h in hooks if p in h.points])}


def _planned(root: Node, where: str, cfg: Any, lookup: Lookup) -> PlannedHook:
    section, _, key = where.partition(".")
    origin = ""
    if section in root.value and isinstance(root.value[section], dict | list | tuple):
        node = root.child(section)
        at = int(key) if key.isdigit() else key
        if not isinstance(at, str) or at in node.value:
            origin = node.origin(at) or node.inherited
    kind = cfg.get("type") if isinstance(cfg, dict) else type(cfg)
    try:
        found = lookup(HOOKS, kind)
    except NOT_FOUND:
        found = None
    said = cfg.get("priority") if isinstance(cfg, dict) else None
    name = getattr(found, "__name__", None) or str(getattr(kind, "dotted", kind))
    return PlannedHook(
        name=name.rpartition(".")[2],
        priority=_number(said if said is not None else getattr(found, "priority", "NORMAL")),
        where=where,
        origin=origin or "built in",
        points=_points(found),
    )


def _number(priority: Any) -> int:
    try:
        return get_priority(priority)
    except (ValueError, TypeError):
        return get_priority("NORMAL")


def _points(found: Any) -> tuple[str, ...]:
    if not isinstance(found, type):
        return ()
    return tuple(p for p in POINTS if _acts(found, p) or _acts(found, GENERIC.get(p)))


def _acts(found: type, name: str | None) -> bool:
    return name is not None and getattr(found, name, None) is not getattr(Hook, name, None)

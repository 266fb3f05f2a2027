"""The curves of schedules that hold code, found by making them and stepping them as a run does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from loopwright.optim import OptimWrapper, build_param_scheduler
from loopwright.optim.accumulate import plan
from loopwright.plan.facts import Facts

MOST_STEPS = 500_000
"""Longer runs are not stepped through: it would take minutes."""


def simulated(
    cfg: Any, starts: Sequence[dict[str, Any]], facts: Facts, at: Sequence[int], accumulation: int
) -> dict[str, list[list[float]]]:
    """For lr, and each other entry that moves, one list a start of the values during ``at``.

    Functions that the config names are found and called. What follows a metric stays as it is.
    Raises what the schedules raise, and RuntimeError for a run of too many steps.
    """
    if facts.max_iters > MOST_STEPS:
        raise RuntimeError(f"{facts.max_iters} iterations are too many to step through")
    wrapper = _wrapper(starts)
    schedulers = build_param_scheduler(
        cfg,
        wrapper,
        epoch_length=facts.epoch_length,
        max_epochs=facts.max_epochs,
        max_iters=facts.max_iters,
    )
    moving = [s for s in schedulers if not getattr(s, "need_val_args", False)]
    epoch = facts.epoch_length if facts.by_epoch and facts.epoch_length else facts.max_iters
    wanted, rows = frozenset(at), []
    for it in range(facts.max_iters):
        if it in wanted:
            rows.append([_values(group) for group in wrapper.optimizer.param_groups])
        wrapper.last_update = plan(it, accumulation, facts.max_iters).update
        for scheduler in moving:
            if not scheduler.by_epoch or (it + 1) % epoch == 0:
                scheduler.step()
    return _by_entry(rows, len(starts))


def _wrapper(starts: Sequence[dict[str, Any]]) -> OptimWrapper:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], **start} for start in starts]
    adam = any("betas" in start for start in starts)
    kind: Any = torch.optim.Adam if adam else torch.optim.SGD
    return OptimWrapper(kind(groups, lr=1.0))


def _values(group: dict[str, Any]) -> dict[str, float]:
    momentum = group["betas"][0] if "betas" in group else group["momentum"]
    held = {"lr": group["lr"], "momentum": momentum, "weight_decay": group["weight_decay"]}
    return {name: float(value) for name, value in held.items()}


def _by_entry(rows: list[list[dict[str, float]]], groups: int) -> dict[str, list[list[float]]]:
    series = {
        name: [[row[i][name] for row in rows] for i in range(groups)]
        for name in ("lr", "momentum", "weight_decay")
    }
    return {
        name: held
        for name, held in series.items()
        if name == "lr" or any(len(set(values)) > 1 for values in held)
    }

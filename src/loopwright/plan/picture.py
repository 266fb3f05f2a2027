"""The curves of a plan as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopwright.plan.plan import Plan
from loopwright.plan.rates import Curve

LEGEND = 8
"""More lines than these are not all named."""


def draw(plan: Plan, path: str | Path) -> None:
    """One panel for each scheduled entry, a line for each distinct group.

    Raises ImportError without matplotlib (``pip install loopwright[plots]``), ValueError where
    there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install loopwright[plots]") from error
    entries = list(dict.fromkeys(curve.entry for curve in plan.curves))
    if not entries:
        raise ValueError("the config has no schedule to draw")
    figure = Figure(figsize=(9, 3.0 * len(entries)), layout="constrained")
    axes = figure.subplots(len(entries), squeeze=False)[:, 0]
    for axis, entry in zip(axes, entries, strict=True):
        curves = [c for c in plan.curves if c.entry == entry]
        for curve in curves:
            axis.step(curve.at, curve.values, where="post", linewidth=1.4, label=curve.label)
        axis.set(title=f"{entry} during each iteration", xlabel="iteration")
        axis.ticklabel_format(axis="y", scilimits=(-3, 4))
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(curves) > 1:
            axis.legend(*_told(axis, curves), fontsize="small")
        for done in _marks(plan):
            axis.axvline(done, color="0.85", linewidth=0.6, zorder=0)
    figure.savefig(path, dpi=120)


def _told(axis: Any, curves: list[Curve]) -> tuple[list[Any], list[str]]:
    """Lines for the legend: all of a few, the highest and the lowest of many."""
    lines = axis.get_legend_handles_labels()[0]
    chosen = list(range(len(curves)))
    if len(curves) > LEGEND:
        order = sorted(chosen, key=lambda i: max(curves[i].values))
        chosen = [order[-1], order[0]]
    return [lines[i] for i in chosen], [curves[i].label for i in chosen]


def _marks(plan: Plan) -> list[int]:
    """Iterations of validations, where there are few enough to see."""
    facts = plan.facts
    if facts is None or len(facts.validations) > 40:
        return []
    length = facts.epoch_length if facts.by_epoch else 1
    return [done * (length or 1) for done in facts.validations]

"""The curves of a plan as a PNG."""

from __future__ import annotations

from pathlib import Path

from loopwright.plan.plan import Plan


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
            axis.plot(curve.at, curve.values, linewidth=1.4, label=curve.label)
        axis.set(title=f"{entry} during each iteration", xlabel="iteration")
        axis.ticklabel_format(axis="y", scilimits=(-3, 4))
        axis.grid(alpha=0.3)
        if 1 < len(curves) <= 8:
            axis.legend(fontsize="small")
        for done in _marks(plan):
            axis.axvline(done, color="0.85", linewidth=0.6, zorder=0)
    figure.savefig(path, dpi=120)


def _marks(plan: Plan) -> list[int]:
    """Iterations of validations, where there are few enough to see."""
    facts = plan.facts
    if facts is None or len(facts.validations) > 40:
        return []
    length = facts.epoch_length if facts.by_epoch else 1
    return [done * (length or 1) for done in facts.validations]

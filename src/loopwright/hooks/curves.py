"""CurvesHook: the run's numbers as a picture in its folder."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from typing import Any

from loopwright.hooks.hook import Hook
from loopwright.registry import HOOKS

Curve = list[tuple[float, float]]


@HOOKS.register_module()
class CurvesHook(Hook):
    """Draws losses, learning rates and metrics of ``metrics.jsonl`` into ``curves.png`` at the end.

    Needs matplotlib (``pip install loopwright[plots]``).
    """

    priority = "LOWEST"

    def __init__(self, filename: str = "curves.png") -> None:
        self.filename = filename

    def after_train(self, runner: Any) -> None:
        if runner.rank == 0:
            path = os.path.join(runner.work_dir, self.filename)
            draw(read_curves(os.path.join(runner.work_dir, "metrics.jsonl")), path)
            runner.logger.info(f"curves drawn to {path}")


def read_curves(path: str) -> dict[str, Curve]:
    """Name to (iteration, value) pairs, from a JSON-lines file of records."""
    curves: dict[str, Curve] = defaultdict(list)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            prefix = "" if entry.get("tag", "train") == "train" else f"{entry['tag']}/"
            for name, value in entry.items():
                if isinstance(value, float):
                    curves[prefix + name.removeprefix(prefix)].append((entry["iter"], value))
    return dict(curves)


def panel_of(name: str) -> str:
    """Which panel a curve belongs to.

    >>> [panel_of(n) for n in ("train/loss_cls", "lr", "val/accuracy/top1", "grad_norm")]
    ['loss', 'learning rate', 'validation', 'other']
    """
    if name.startswith(("val/", "test/")):
        return "validation"
    last = name.rpartition("/")[2]
    if "loss" in last:
        return "loss"
    return "learning rate" if last in ("lr", "base_lr", "momentum") else "other"


def draw(curves: dict[str, Curve], path: str) -> None:
    """One panel for losses, one for learning rates, one for validation, one for the rest."""
    from matplotlib.figure import Figure

    panels: dict[str, dict[str, Curve]] = defaultdict(dict)
    for name, curve in curves.items():
        panels[panel_of(name)][name] = curve
    order = [p for p in ("loss", "validation", "learning rate", "other") if p in panels]
    figure = Figure(figsize=(9, 2.6 * max(len(order), 1)), layout="constrained")
    for axis, panel in zip(figure.subplots(max(len(order), 1), squeeze=False)[:, 0], order):
        for name, curve in sorted(panels[panel].items()):
            iterations, values = zip(*curve, strict=True)
            axis.plot(iterations, values, label=name, linewidth=1.4, marker="." * (len(curve) < 40))
        axis.set(title=panel, xlabel="iteration")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=110)

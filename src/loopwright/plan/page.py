"""A plan as one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from typing import Any

from loopwright.plan.data import groups_of, in_bytes, parameters_of, sizes_of
from loopwright.plan.hook_order import at_points
from loopwright.plan.plan import Plan
from loopwright.plan.rates import Curve

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1c2733; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e8ee;
         vertical-align: top; overflow-wrap: anywhere; }
th { color: #5b6b7c; font-weight: 600; }
.error { color: #b3261e; font-weight: 600; } .warning { color: #8a5a00; font-weight: 600; }
.note { color: #2b6cb0; } .ok { color: #1d7a3d; }
svg { width: 100%; height: 190px; background: #f8fafc; border: 1px solid #e3e8ee; }
details { margin: .5rem 0; } code { font-size: .9em; }
"""
COLOURS = ("#2563a8", "#c2410c", "#15803d", "#7e22ce", "#b91c1c", "#0f766e", "#a16207", "#475569")


def page(plan: Plan, title: str) -> str:
    """The whole page as text."""
    parts = [
        f"<h1>Plan of {escape(title)}</h1>",
        _findings(plan),
        "<h2>Sizes</h2>" + _table(("", ""), sizes_of(plan)),
        _curves(plan),
        _groups(plan),
        _hooks(plan),
    ]
    body = "\n".join(parts)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{STYLE}</style></head><body>{body}</body></html>"
    )


def _table(head: tuple[str, ...], rows: Any) -> str:
    top = "".join(f"<th>{escape(h)}</th>" for h in head) if any(head) else ""
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"


def _findings(plan: Plan) -> str:
    rows = "".join(
        f"<tr><td class='{f.level}'>{f.level}</td><td><code>{escape(f.path)}</code></td>"
        f"<td>{escape(f.origin)}</td><td>{escape(f.message)}</td></tr>"
        for f in plan.findings
    )
    rows += "".join(
        f"<tr><td class='note'>note</td><td></td><td></td><td>{escape(n)}</td></tr>"
        for n in plan.notes
    )
    if not rows:
        return "<p class='ok'>Nothing is wrong.</p>"
    return f"<h2>{len(plan.errors)} errors, {len(plan.warnings)} warnings</h2><table>{rows}</table>"


def _curves(plan: Plan) -> str:
    shown = []
    for entry in dict.fromkeys(curve.entry for curve in plan.curves):
        curves = [c for c in plan.curves if c.entry == entry]
        shown.append(f"<h2>{escape(entry)} during each iteration</h2>{svg(curves)}")
        rows = [(c.label, c.values[0], max(c.values), c.values[-1]) for c in curves]
        told = [(n, f"{a:.3e}", f"{b:.3e}", f"{c:.3e}") for n, a, b, c in rows]
        shown.append(_table(("group", "first", "peak", "last"), told))
    return "".join(shown)


def svg(curves: list[Curve], width: int = 900, height: int = 190) -> str:
    """The curves as lines in one drawing, scaled to their range."""
    high = max(max(c.values) for c in curves) or 1.0
    low = min(0.0, *(min(c.values) for c in curves))
    last = max(c.at[-1] for c in curves) or 1
    lines = []
    for number, curve in enumerate(curves):
        points = " ".join(
            f"{at / last * width:.1f},{height - 8 - (v - low) / (high - low) * (height - 16):.1f}"
            for at, v in zip(curve.at, curve.values, strict=True)
        )
        colour = COLOURS[number % len(COLOURS)]
        lines.append(
            f"<polyline fill='none' stroke='{colour}' stroke-width='1.6' points='{points}'>"
            f"<title>{escape(curve.label)}</title></polyline>"
        )
    return f"<svg viewBox='0 0 {width} {height}' preserveAspectRatio='none'>{''.join(lines)}</svg>"


def _groups(plan: Plan) -> str:
    groups = groups_of(plan)
    if not groups:
        return ""
    rows = [
        (
            number,
            g["tensors"],
            f"{g['parameters']:,}",
            ", ".join(f"{k}={v}" for k, v in g["options"].items() if v is not None),
            ", ".join(g["rules"]),
        )
        for number, g in enumerate(groups)
    ]
    memory = [(name, in_bytes(size)) for name, size in plan.model.memory.items()]
    every = [
        (p["name"], "x".join(map(str, p["shape"])), p["group"], p["rule"])
        for p in parameters_of(plan)
    ]
    return (
        f"<h2>{len(groups)} parameter groups</h2>"
        + _table(("#", "tensors", "parameters", "options", "decided by"), rows)
        + "<details><summary>every parameter</summary>"
        + _table(("name", "shape", "group", "decided by"), every)
        + "</details><h2>Memory, without activations</h2>"
        + _table(("", ""), memory)
    )


def _hooks(plan: Plan) -> str:
    rows = [(h.name, h.priority, h.where, h.origin) for h in plan.hooks]
    points = [
        (point, " → ".join(h.name for h in there))
        for point, there in at_points(list(plan.hooks)).items()
    ]
    return (
        "<h2>Hooks in the order they run</h2>"
        + _table(("hook", "priority", "said in", "written at"), rows)
        + "<h2>At each hook point</h2>"
        + _table(("point", "hooks"), points)
    )

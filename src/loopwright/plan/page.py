"""A plan as one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from typing import Any

from loopwright.plan.chart import STYLE as CHART_STYLE
from loopwright.plan.chart import chart
from loopwright.plan.data import counted, groups_of, memory_rows, parameters_of, sizes_of
from loopwright.plan.hook_order import at_points
from loopwright.plan.plan import Plan

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1c2733; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e8ee;
         vertical-align: top; overflow-wrap: anywhere; }
th { color: #5b6b7c; font-weight: 600; white-space: nowrap; }
td:first-child, td.n { white-space: nowrap; }
.error { color: #b3261e; font-weight: 600; } .warning { color: #8a5a00; font-weight: 600; }
.note { color: #2b6cb0; } .ok { color: #1d7a3d; }
details { margin: .5rem 0; } code { font-size: .9em; }
"""


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
        f"<style>{STYLE}{CHART_STYLE}</style></head><body>{body}</body></html>"
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
    return f"<h2>{counted(plan)}</h2><table>{rows}</table>"


def _curves(plan: Plan) -> str:
    shown = []
    for entry in dict.fromkeys(curve.entry for curve in plan.curves):
        curves = [c for c in plan.curves if c.entry == entry]
        drawn = {c.label: list(zip(c.at, c.values, strict=True)) for c in curves}
        shown.append(f"<h2>{escape(entry)} during each iteration</h2>{chart(drawn, steps=True)}")
        rows = [(c.label, c.values[0], max(c.values), c.values[-1]) for c in curves]
        told = [(n, f"{a:.4g}", f"{b:.4g}", f"{c:.4g}") for n, a, b, c in rows]
        shown.append(_table(("group", "first", "peak", "last"), told))
    return "".join(shown)


def _groups(plan: Plan) -> str:
    groups = groups_of(plan)
    if not groups:
        return ""
    several = any(g["optimizer"] for g in groups)
    rows = [
        (
            number,
            *([g["optimizer"]] if several else []),
            f"{g['tensors']} ({g['frozen']} frozen)" if g["frozen"] else g["tensors"],
            f"{g['parameters']:,}",
            ", ".join(f"{k}={v}" for k, v in g["options"].items() if v is not None),
            ", ".join(g["rules"]),
            g["names"][0] if g["names"] else "",
        )
        for number, g in enumerate(groups)
    ]
    head = ("#", *(["optimizer"] if several else []), "tensors", "parameters", "options")
    every = [
        (p["name"], "x".join(map(str, p["shape"])), p["group"], p["rule"])
        for p in parameters_of(plan)
    ]
    return (
        f"<h2>{len(groups)} parameter groups</h2>"
        + _table((*head, "decided by", "first of"), rows)
        + "<details><summary>every parameter</summary>"
        + _table(("name", "shape", "group", "decided by"), every)
        + "</details><h2>Memory, without activations</h2>"
        + _table(("", ""), memory_rows(plan))
    )


def _hooks(plan: Plan) -> str:
    rows = [(h.name, h.priority, h.where, h.origin) for h in plan.hooks]
    points = [
        (point, " → ".join(h.name for h in there))
        for point, there in at_points(list(plan.hooks), plan.modes).items()
    ]
    return (
        "<h2>Hooks in the order they run</h2>"
        + _table(("hook", "priority", "said in", "written at"), rows)
        + "<h2>At each hook point</h2>"
        + _table(("point", "hooks"), points)
    )

"""A plan on one screen of a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loopwright.plan.data import counted, groups_of, memory_rows, parameters_of, sizes_of
from loopwright.plan.hook_order import at_points
from loopwright.plan.plan import Plan
from loopwright.plan.rates import Curve

LEVELS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
GROUPS_SHOWN = 30
WIDE = 100
CURVES_SHOWN = 4
_BLOCKS = "▁▂▃▄▅▆▇█"


def show(plan: Plan, console: Console, *, by_parameter: bool = False) -> None:
    """Print the plan: sizes, groups, curves, hooks, memory, findings."""
    console.print(Panel(_pairs(sizes_of(plan)), title="sizes", title_align="left"))
    if plan.model is not None:
        wide = console.width >= WIDE
        table = _parameters(plan) if by_parameter else _groups(plan, wide=wide)
        console.print(table)
        title = "memory of a process, without activations"
        console.print(Panel(_pairs(memory_rows(plan)), title=title, title_align="left"))
    for picture in curves_shown(plan):
        console.print(picture)
    console.print(_hooks(plan))
    console.print(_points(plan))
    console.print(findings(plan))


def _pairs(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 3))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), value)
    return table


def _groups(plan: Plan, *, wide: bool) -> Table:
    groups = groups_of(plan)
    options = list(dict.fromkeys(k for g in groups for k in g["options"] if _told(k, groups)))
    several = ["optimizer"] if any(g["optimizer"] for g in groups) else []
    title = f"{len(groups)} parameter groups"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("#", *several, "tensors", "parameters"):
        table.add_column(column, no_wrap=True)
    for option in options:
        table.add_column(option.replace("_", " "), min_width=8)
    for column in ("decided by", *(["first of"] if wide else [])):
        table.add_column(column, overflow="fold")
    for number, group in enumerate(groups[:GROUPS_SHOWN]):
        frozen = f" ({group['frozen']} frozen)" if group["frozen"] else ""
        table.add_row(
            str(number),
            *(group[name] for name in several),
            f"{group['tensors']}{frozen}",
            f"{group['parameters']:,}",
            *(_option(group["options"].get(k)) for k in options),
            _listed(group["rules"]),
            *(group["names"][:1] if wide else []),
        )
    if len(groups) > GROUPS_SHOWN:
        table.caption = f"and {len(groups) - GROUPS_SHOWN} more (--by-parameter, --json)"
    return table


def _listed(rules: list[str]) -> str:
    """The first rules, and how many more there are."""
    more = f" and {len(rules) - 2} more" if len(rules) > 2 else ""
    return f"{', '.join(rules[:2])}{more}"


def _told(key: str, groups: list[dict[str, Any]]) -> bool:
    """Options worth a column: the two everyone asks for, and what differs between groups."""
    if key in ("lr", "weight_decay"):
        return True
    values = [str(group["options"].get(key)) for group in groups]
    return len(set(values)) > 1 and key not in ("group_name", "param_names")


def _option(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _parameters(plan: Plan) -> Table:
    groups = groups_of(plan)
    table = Table(title="parameters", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("name", "shape", "group", "lr", "weight decay", "decided by"):
        table.add_column(column, overflow="fold")
    for p in parameters_of(plan):
        options = groups[p["group"]]["options"] if p["group"] >= 0 else {}
        table.add_row(
            p["name"],
            "x".join(map(str, p["shape"])) or "1",
            str(p["group"]) if p["group"] >= 0 else "-",
            _option(options.get("lr")),
            _option(options.get("weight_decay")),
            p["rule"] if p["trainable"] else f"{p['rule']} (frozen)".strip(),
        )
    return table


def curves_shown(plan: Plan) -> list[Panel]:
    """A small drawing of each scheduled entry, of the fastest group and the slowest."""
    pictures = []
    for entry in dict.fromkeys(curve.entry for curve in plan.curves):
        drawn = [c for c in plan.curves if c.entry == entry]
        drawn.sort(key=lambda c: -max(c.values))
        if len(drawn) > CURVES_SHOWN:
            drawn = [*drawn[: CURVES_SHOWN - 1], drawn[-1]]
        body = Group(*(Text(line(c)) for c in drawn))
        pictures.append(Panel(body, title=f"{entry} over the run", title_align="left"))
    return pictures


def line(curve: Curve, width: int = 60) -> str:
    """A curve as one line of blocks, between its start, peak and end."""
    values, low, high = curve.values, min(curve.values), max(curve.values)
    picked = [values[i * (len(values) - 1) // (width - 1)] for i in range(width)]
    span = high - low or 1.0
    blocks = "".join(_BLOCKS[round((v - low) / span * 7)] for v in picked)
    told = f"{values[0]:.3g} → peak {high:.3g} at {curve.at[values.index(high)]} → {values[-1]:.3g}"
    return f"{blocks}\n{told}  {curve.label}"


def _hooks(plan: Plan) -> Table:
    title = "hooks, in the order they run"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("hook", "priority", "said in", "written at"):
        table.add_column(column, overflow="fold")
    for hook in plan.hooks:
        table.add_row(hook.name, str(hook.priority), hook.where, hook.origin)
    return table


def _points(plan: Plan) -> Panel:
    rows = [
        (point, " → ".join(hook.name for hook in there))
        for point, there in at_points(list(plan.hooks), plan.modes).items()
    ]
    return Panel(_pairs(rows), title="at each hook point", title_align="left")


def findings(plan: Plan) -> Panel:
    """Errors, warnings and notes, the worst first."""
    order = {"error": 0, "warning": 1, "note": 2}
    lines = Text()
    for finding in sorted(plan.findings, key=lambda f: order[f.level]):
        lines.append(f"{finding.level:<8}", style=LEVELS[finding.level])
        place = f"{finding.path} ({finding.origin})" if finding.origin else finding.path
        lines.append(f"{place}: {finding.message}\n")
    for note in plan.notes:
        lines.append("note    ", style=LEVELS["note"])
        lines.append(f"{note}\n")
    if not lines.plain:
        lines.append("nothing is wrong", style="green")
    return Panel(lines, title=counted(plan), title_align="left")

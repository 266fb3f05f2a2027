"""A run as one HTML file: no network, no script, everything inside."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from html import escape
from typing import Any

from loopwright.plan.chart import STYLE as CHART_STYLE
from loopwright.plan.chart import chart
from loopwright.report.phases import phases
from loopwright.report.run import POSITION, Curve, Run, lower_is_better
from loopwright.report.secrets import redacted, redacted_value

MOST_PICTURES = 24
MOST_BYTES = 8 * 2**20  # of pictures, before they are encoded
PNG = b"\x89PNG\r\n\x1a\n"
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #1c2733; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid #e3e8ee; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; color: #40505f; }
nav a { margin-right: 1rem; color: #2563a8; text-decoration: none; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.cards div { background: #f4f7fa; border: 1px solid #e3e8ee; border-radius: 6px;
             padding: .5rem .9rem; }
.cards b { display: block; font-size: 1.2rem; } .cards small { color: #5b6b7c; }
table { border-collapse: collapse; font-size: .88rem; max-width: 100%; }
.wide { overflow-x: auto; }
th, td { text-align: left; padding: .22rem .7rem; border-bottom: 1px solid #e3e8ee;
         vertical-align: top; overflow-wrap: anywhere; }
th { color: #5b6b7c; font-weight: 600; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.best { background: #dcf3e3; font-weight: 600; }
.bar { display: flex; height: 26px; border-radius: 4px; overflow: hidden; }
.pictures { display: flex; flex-wrap: wrap; gap: .8rem; }
figure { margin: 0; max-width: 22.5rem; } figure img { max-width: 100%; min-width: 8rem;
         image-rendering: pixelated; border: 1px solid #e3e8ee; }
figcaption { font-size: .8rem; color: #5b6b7c; } .note { color: #5b6b7c; }
pre { background: #f4f7fa; border: 1px solid #e3e8ee; padding: .8rem; overflow-x: auto;
      font-size: .82rem; }
.old { color: #a33; text-decoration: line-through; }
"""
PANELS = ("loss", "validation", "learning rate", "norms", "other")
COLOURS = ("#2563a8", "#c2410c", "#15803d", "#a16207", "#94a3b8")


def page(run: Run) -> str:
    """The whole page as text; deterministic for a folder."""
    sections = {
        "Curves": _curves(run),
        "Validation": _validations(run),
        "Predictions": _pictures(run),
        "Time": _times(run),
        "Sessions": _sessions(run),
        "Config": _config(run),
        "Environment": _environment(run),
    }
    shown = {name: text for name, text in sections.items() if text}
    links = "".join(f"<a href='#{n.lower()}'>{n}</a>" for n in shown)
    body = "".join(f"<h2 id='{n.lower()}'>{n}</h2>{text}" for n, text in shown.items())
    title = escape(run.name)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{STYLE}{CHART_STYLE}</style></head><body>"
        f"<h1>{title}</h1><nav>{links}</nav>{_cards(run)}{body}</body></html>\n"
    )


def _cards(run: Run) -> str:
    cards = [("state", run.state), ("iterations", f"{run.iter:,}")]
    cards += [
        (f"best {name} at {at:,}", f"{value:.4g}")
        for name, (value, at) in list(run.best().items())[:3]
    ]
    total = sum(phases(run).values())
    if total:
        cards.append(("time", _duration(total)))
    inner = "".join(f"<div><small>{escape(k)}</small><b>{escape(v)}</b></div>" for k, v in cards)
    return f"<div class='cards'>{inner}</div>"


def panel_of(name: str) -> str:
    """Which panel a curve belongs to.

    >>> [panel_of(n) for n in ("loss_cls", "lr", "val/mIoU", "grad_norm/head", "acc")]
    ['loss', 'learning rate', 'validation', 'norms', 'other']
    """
    last = name.rpartition("/")[2]
    if name.startswith(("val/", "test/")):
        return "loss" if "loss" in last and name.count("/") == 1 else "validation"
    if "loss" in last:
        return "loss"
    if last in ("lr", "base_lr") or last.endswith(".lr"):
        return "learning rate"
    return "norms" if "norm" in name else "other"


def _curves(run: Run) -> str:
    panels: dict[str, dict[str, Curve]] = {}
    for name, curve in run.curves().items():
        panels.setdefault(panel_of(name), {})[name] = curve
    return "".join(f"<h3>{p}</h3>{chart(panels[p])}" for p in PANELS if p in panels)


def _validations(run: Run) -> str:
    entries = run.validations()
    names = list(dict.fromkeys(n for e in entries for n in e if n not in POSITION))
    if not entries:
        return ""
    best = {n: _best_value(n, [e[n] for e in entries if _number(e.get(n))]) for n in names}
    rows = []
    for entry in entries:
        cells = f"<td>{escape(entry['tag'])}</td><td class='n'>{entry['iter']:,}</td>"
        cells += f"<td class='n'>{entry.get('epoch', '')}</td>"
        for name in names:
            value = entry.get(name)
            kind = "n best" if value is not None and value == best[name] else "n"
            cells += f"<td class='{kind}'>{f'{value:.4f}' if _number(value) else ''}</td>"
        rows.append(f"<tr>{cells}</tr>")
    head = "".join(f"<th>{escape(h)}</th>" for h in ("", "iter", "epoch", *names))
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _best_value(name: str, values: list[float]) -> float | None:
    finite = [v for v in values if v == v]
    return (min if lower_is_better(name) else max)(finite) if finite else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _pictures(run: Run) -> str:
    figures, left = [], MOST_BYTES
    for path in reversed(run.pictures[-MOST_PICTURES:]):
        with path.open("rb") as file:
            data = file.read(left + 1)
        if not data.startswith(PNG):
            continue
        left -= len(data)
        if left < 0:
            break
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        name = escape(path.stem)
        figures.append(
            f"<figure><img src='{source}' alt='{name}'><figcaption>{name}</figcaption></figure>"
        )
    if not figures:
        return ""
    told = f"The newest {len(figures)} of {len(run.pictures)} in <code>vis_image</code>."
    return f"<p class='note'>{told}</p><div class='pictures'>{''.join(figures)}</div>"


def _times(run: Run) -> str:
    spent = phases(run)
    total = sum(spent.values())
    if not total:
        return ""
    bars, legend = "", ""
    for colour, (name, seconds) in zip(COLOURS, spent.items(), strict=False):
        part = seconds / total
        bars += f"<span style='width:{part:.2%};background:{colour}' title='{name}'></span>"
        legend += (
            f"<span><i style='background:{colour}'></i>{name} "
            f"<b>{_duration(seconds)}</b> ({part:.0%})</span>"
        )
    return f"<div class='bar'>{bars}</div><div class='legend'>{legend}</div>"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _sessions(run: Run) -> str:
    rows = []
    for entry in run.sessions:
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(entry["time"])))
        began = "resumed" if entry["iter"] else "started"
        what = began if entry["what"] == "start" else "ended"
        rows.append((when, what, f"{entry['iter']:,}", entry.get("reason") or ""))
    return table(("when", "", "at iteration", "because"), rows) if rows else ""


def _config(run: Run) -> str:
    if not run.config_text:
        return ""
    changed, written = [], []
    for path, steps in run.origins.items():
        values = [(redacted_value(path, value), origin) for value, origin in steps]
        now, origin = values[-1]
        written.append((path, now, origin))
        if len(values) > 1:
            was = "<br>".join(f"<span class='old'>{escape(v)}</span>" for v, _ in values[:-1])
            cells = (escape(path), was, escape(now), escape(origin))
            changed.append("".join(f"<td>{cell}</td>" for cell in cells))
    parts = []
    if changed:
        head = "<tr><th>key</th><th>in the base</th><th>in this run</th><th>written at</th></tr>"
        rows = "".join(f"<tr>{row}</tr>" for row in changed)
        parts.append(f"<h3>Changed from the base</h3><table>{head}{rows}</table>")
    if written:
        listed = table(("key", "value", "written at"), written)
        parts.append(f"<details><summary>Where each value was written</summary>{listed}</details>")
    whole = f"<pre>{escape(redacted(run.config_text))}</pre>"
    return "".join(parts) + f"<details open><summary>The whole config</summary>{whole}</details>"


def _environment(run: Run) -> str:
    rows = []
    for name, value in run.environment.items():
        told = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        if told not in (None, ""):
            rows.append((name.replace("_", " "), redacted_value(name, str(told))))
    return table(("", ""), rows) if rows else ""


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A plain table; every cell is escaped."""
    names = list(head)
    top = "".join(f"<th>{escape(h)}</th>" for h in names) if any(names) else ""
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"

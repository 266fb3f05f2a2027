"""What an audit found, told three ways: a table for the terminal, JSON, one HTML file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.vision import draw
from loopwright.vision.annotations import Audit
from loopwright.vision.boxes import FARTHEST
from loopwright.vision.images import PathError, confine
from loopwright.vision.objects import PROBLEMS
from loopwright.vision.policy import CAUSES, MEANING

_RAW, _PUT = (220, 38, 38), (22, 163, 74)
_SIDE = 260


def meaning(cause: str) -> str:
    """A sentence on a cause."""
    return MEANING[cause] if cause in MEANING else PROBLEMS[cause][1]


def rows_of(audit: Audit) -> list[tuple[str, str, int, str]]:
    """Cause, action, count and an example, in the order things are checked."""
    examples = {problem.cause: _example(problem) for problem in reversed(audit.problems)}
    for cause, rows in audit.repaired.findings.rows.items():
        if len(rows):
            examples[cause] = audit.annotations.name(int(rows[0]))
    order = [*CAUSES, *PROBLEMS]
    return [
        (cause, action, count, examples.get(cause, ""))
        for cause, actions in sorted(audit.table().items(), key=lambda item: order.index(item[0]))
        for action, count in actions.items()
    ]


def _example(problem: Any) -> str:
    return f"{problem.where}: {problem.detail}" if problem.detail else problem.where


def summary(audit: Audit) -> str:
    """One line on what there is and what is left of it."""
    found = audit.repaired.findings
    empty = audit.images_without_objects()
    return (
        f"{len(audit.annotations.images)} images ({empty} without objects), {found.total} boxes, "
        f"{len(audit.annotations.classes)} classes; {len(audit.touched())} boxes with findings, "
        f"{found.dropped} dropped ({100 * found.share_dropped:.2f} %)"
    )


def to_dict(audit: Audit, *, worst: int = 20) -> dict[str, Any]:
    """Everything as plain data: the policy too, so that two runs can be compared."""
    annotations = audit.annotations
    return {
        "source": str(annotations.source),
        "format": annotations.kind,
        "images": len(annotations.images),
        "images_without_objects": audit.images_without_objects(),
        "boxes": audit.repaired.findings.total,
        "dropped": audit.repaired.findings.dropped,
        "table": audit.table(),
        "classes": {
            name: {"before": before, "after": after}
            for name, (before, after) in audit.class_counts().items()
        },
        "suspicions": [s._asdict() for s in audit.suspicions],
        "problems": [{**p._asdict(), "action": p.action} for p in audit.problems],
        "worst": [
            {
                "file": annotations.images[number].file_name,
                "objects": [_object(audit, row, causes) for row, causes in rows],
            }
            for number, rows in audit.worst(worst)
        ],
        "notes": list(annotations.notes),
        "policy": vars(audit.policy),
    }


def _object(audit: Audit, row: int, causes: list[str]) -> dict[str, Any]:
    raw = audit.annotations.boxes[row].tolist()
    box = [round(v, 4) if np.isfinite(v) else None for v in raw]
    put = audit.repaired.boxes[audit.repaired.index == row]
    return {
        "id": audit.annotations.ids[row],
        "class": audit.annotations.classes[int(audit.annotations.labels[row])],
        "causes": causes,
        "box": box,
        "repaired": put[0].round(4).tolist() if len(put) else None,
    }


def to_json(audit: Audit) -> str:
    return json.dumps(to_dict(audit), indent=1)


def tables(audit: Audit, *, worst: int = 10) -> Iterator[Any]:
    """Rich tables: causes and actions, the worst files, the classes."""
    from rich.table import Table

    found = Table("cause", "action", "count", "what it is", "first", title="Findings")
    for cause, action, count, example in rows_of(audit):
        found.add_row(cause, action, str(count), meaning(cause), _plain(example))
    if found.row_count:
        yield found
    files = Table("file", "findings", "ids and causes", title="Worst files")
    for number, rows in audit.worst(worst):
        told = "; ".join(f"#{audit.annotations.ids[r]} {', '.join(c)}" for r, c in rows[:4])
        name = audit.annotations.images[number].file_name
        files.add_row(_plain(name), str(len(rows)), _plain(told + (" …" if rows[4:] else "")))
    if files.row_count:
        yield files
    classes = Table("class", "boxes", "after", title="Classes")
    counts = sorted(audit.class_counts().items(), key=lambda item: -item[1][0])
    for name, (before, after) in counts[:30]:
        classes.add_row(_plain(name), str(before), str(after))
    yield classes


def _plain(text: str) -> Any:
    """Text that is shown as it is: a file name is no markup, and no terminal's command."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "?" for c in text))


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}
th,td{padding:.25rem .8rem;border-bottom:1px solid #dde3e9;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}h1{font-size:1.5rem}
.bad{background:#fde8e8;border-left:4px solid #dc2626;padding:.5rem 1rem;margin:.5rem 0}
.hint{background:#fff7e0;border-left:4px solid #d69e2e;padding:.5rem 1rem;margin:.5rem 0}
.grid{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;max-width:22rem}
figcaption{font-size:12px;overflow-wrap:anywhere}b.r{color:#dc2626}b.g{color:#16a34a}
"""


def to_html(audit: Audit, *, images: str | Path | None = None, worst: int = 20) -> str:
    """One file that needs nothing else: tables and thumbnails of the worst images.

    Boxes as annotated are red, as repaired green.
    """
    title = f"Annotations of {audit.annotations.source.name}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1><p>{escape(summary(audit))}</p>",
    ]
    for suspicion in audit.suspicions:
        kind = "hint" if suspicion.hint else "bad"
        said = f"<b>{escape(suspicion.kind)}</b>: {escape(suspicion.message)}"
        parts.append(f"<p class={kind}>{said}</p>")
    parts += [f"<p>{escape(note)}</p>" for note in audit.annotations.notes]
    findings = [(c, a, n, meaning(c), e) for c, a, n, e in rows_of(audit)]
    parts.append(_table(("cause", "action", "count", "what it is", "first"), findings))
    parts.append("<h2>Worst images</h2><p><b class=r>as annotated</b>, <b class=g>repaired</b></p>")
    parts.append("<div class=grid>")
    for number, rows in audit.worst(worst):
        parts.append(_figure(audit, number, rows, images))
    parts.append("</div><h2>Classes</h2>")
    counts = [(name, b, a) for name, (b, a) in audit.class_counts().items()]
    parts.append(_table(("class", "boxes", "after"), counts))
    rest = [(p.cause, p.action, p.where, p.detail) for p in audit.problems[:500]]
    parts.append("<h2>Other problems</h2>")
    parts.append(_table(("cause", "action", "where", "detail"), rest))
    return "\n".join(parts) + "\n</html>\n"


def _table(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in names)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td class=n>{cell}" if isinstance(cell, int) else f"<td>{escape(str(cell))}"
            for cell in row
        )
        for row in rows
    )
    return f"<table><tr>{head}{body}</table>" if rows else "<p>none</p>"


def _figure(audit: Audit, number: int, rows: list[tuple[int, list[str]]], images: Any) -> str:
    picture = thumbnail(audit, number, [row for row, _ in rows], images)
    data = base64.b64encode(draw.to_jpeg(picture)).decode()
    told = "; ".join(f"#{audit.annotations.ids[row]} {', '.join(c)}" for row, c in rows[:6])
    name = audit.annotations.images[number].file_name
    return (
        f'<figure><img alt="" src="data:image/jpeg;base64,{data}"><figcaption>'
        f"<b>{escape(name)}</b><br>{escape(told)}</figcaption></figure>"
    )


def thumbnail(audit: Audit, number: int, rows: list[int], images: Any = None) -> draw.Picture:
    """An image with a grey margin, its found boxes red, what became of them green."""
    entry = audit.annotations.images[number]
    width, height = (entry.width or 100.0), (entry.height or 100.0)
    scale = _SIDE / max(width, height)
    canvas = _picture(entry.file_name, images, round(width * scale), round(height * scale))
    margin = _SIDE // 8
    canvas = np.pad(canvas, ((margin, margin), (margin, margin), (0, 0)), constant_values=210)
    raw = audit.annotations.boxes[rows]
    raw = raw[(np.abs(raw) <= FARTHEST).all(1)] * scale + margin
    raw = raw.clip(1, max(canvas.shape[:2]) - 2)
    put = audit.repaired.boxes[np.isin(audit.repaired.index, rows)] * scale + margin
    canvas = draw.draw_boxes(canvas, raw, palette=[_RAW], width=4)
    return draw.draw_boxes(canvas, put, palette=[_PUT], width=2)


def _picture(name: str, images: Any, width: int, height: int) -> draw.Picture:
    """The image's file at that size, or plain grey where it cannot be had."""
    from PIL import Image

    width, height = max(width, 1), max(height, 1)
    blank = np.full((height, width, 3), 245, np.uint8)
    if images is None:
        return blank
    try:
        with Image.open(confine(images, name)) as image:
            image.draft("RGB", (width, height))
            return np.array(image.convert("RGB").resize((width, height)))
    except (OSError, ValueError, SyntaxError, PathError, Image.DecompressionBombError):
        return blank

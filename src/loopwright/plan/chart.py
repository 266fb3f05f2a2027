"""Curves as SVG drawings: axes with round numbers, a line a scalar, no script."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from html import escape

Curve = list[tuple[int, float]]
"""(iteration, value) in order of the iteration."""

COLOURS = ("#2563a8", "#c2410c", "#15803d", "#7e22ce", "#b91c1c", "#0f766e", "#a16207", "#475569")
STYLE = """
svg { width: 100%; height: auto; background: #fafcfd; border: 1px solid #e3e8ee; }
svg polyline { fill: none; stroke-width: 1.7; } svg .grid { stroke: #e3e8ee; }
svg text { font: 11px system-ui, sans-serif; fill: #5b6b7c; }
.legend { font-size: .85rem; } .legend span { margin-right: 1.1rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em;
            border-radius: 2px; }
"""
WIDTH, HEIGHT = 880, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 26
MOST_POINTS = 600
Place = Callable[[tuple[int, float]], str]


def chart(curves: Mapping[str, Curve], *, steps: bool = False) -> str:
    """One drawing of several curves over the iteration, with a legend below.

    With ``steps`` a value holds until the next one, as a learning rate does.
    """
    curves = {name: [*map(_drawable, curve)] for name, curve in curves.items()}
    finite = [v for curve in curves.values() for _, v in curve if math.isfinite(v)]
    if not finite:
        return "<p class='note'>No finite value.</p>"
    low, high = _range(finite)
    first = min(curve[0][0] for curve in curves.values())
    last = max(max(curve[-1][0] for curve in curves.values()), first + 1)

    def at(point: tuple[int, float]) -> str:
        x = LEFT + (point[0] - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        y = TOP + (high - point[1]) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    curves = merged(curves)
    parts = [*_grid(low, high, at, first), *_below(first, last, at, low)]
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        title = f"<title>{escape(name)}</title>"
        for stretch in stretches(thinned(curve)):
            points = " ".join(map(at, stairs(stretch) if steps else stretch))
            parts.append(f"<polyline stroke='{colour}' points='{points}'>{title}</polyline>")
            if len(stretch) == 1 or (len(curve) <= 40 and not steps):
                parts += [_dot(at(p), colour, f"{name} {p[1]:.5g} at {p[0]}") for p in stretch]
    drawing = f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>{''.join(parts)}</svg>"
    return drawing + _legend(curves)


def merged(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """Equal curves as one under both names, since one would hide the other.

    >>> merged({"loss": [(1, 0.5)], "loss_cls": [(1, 0.5)], "lr": [(1, 0.1)]})
    {'loss = loss_cls': [(1, 0.5)], 'lr': [(1, 0.1)]}
    """
    names: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for name, curve in curves.items():
        names.setdefault(tuple(curve), []).append(name)
    return {" = ".join(same): curves[same[0]] for same in names.values()}


def _drawable(point: tuple[int, float]) -> tuple[int, float]:
    """A point with no value where the value is so large that a difference of two has none."""
    return point if abs(point[1]) < 1e300 else (point[0], math.nan)


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low < 1e-290:  # nothing that a float can divide
        spread = abs(low) * 0.1 if abs(low) > 1e-280 else 1.0
        return low - spread, high + spread
    margin = (high - low) * 0.05
    return (0.0 if 0 <= low < (high - low) * 0.3 else low - margin), high + margin


def _dot(place: str, colour: str, told: str) -> str:
    x, y = place.split(",")
    return (
        f"<circle cx='{x}' cy='{y}' r='2.6' fill='{colour}'><title>{escape(told)}</title></circle>"
    )


def _grid(low: float, high: float, at: Place, first: int) -> list[str]:
    parts = []
    for tick in ticks(low, high):
        y = at((first, tick)).split(",")[1]
        parts.append(f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y}' y2='{y}'/>")
        parts.append(
            f"<text x='{LEFT - 6}' y='{float(y) + 4:.1f}' text-anchor='end'>{tick:.4g}</text>"
        )
    return parts


def _below(first: int, last: int, at: Place, low: float) -> list[str]:
    parts = []
    for tick in ticks(first, last, count=8):
        if tick == int(tick):
            x = at((int(tick), low)).split(",")[0]
            parts.append(
                f"<text x='{x}' y='{HEIGHT - 8}' text-anchor='middle'>{int(tick):,}</text>"
            )
    return parts


def _legend(curves: Mapping[str, Curve]) -> str:
    entries = [
        f"<span><i style='background:{COLOURS[number % len(COLOURS)]}'></i>{escape(name)} "
        f"<b>{curve[-1][1]:.4g}</b></span>"
        for number, (name, curve) in enumerate(curves.items())
    ]
    return f"<div class='legend'>{''.join(entries)}</div>"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two values.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / count
    scale = 10 ** math.floor(math.log10(rough))
    step = min((m * scale for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    start = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(start, math.floor(high / step + 1e-9) + 1)]


def stairs(curve: Curve) -> Curve:
    """The corners of a curve whose values hold until the next one.

    >>> stairs([(0, 1.0), (5, 0.1)])
    [(0, 1.0), (5, 1.0), (5, 0.1)]
    """
    held = [(at, value) for (_, value), (at, _) in itertools.pairwise(curve)]
    return [*itertools.chain.from_iterable(zip(curve, held, strict=False)), curve[-1]]


def thinned(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """At most about ``most`` points that keep every peak: the extremes of each stretch.

    >>> len(thinned([(i, float(i % 7)) for i in range(10_000)])) <= 600
    True
    """
    if len(curve) <= most:
        return curve
    size = math.ceil(len(curve) / (most // 2))
    kept: Curve = []
    for start in range(0, len(curve), size):
        part = curve[start : start + size]
        odd = [point for point in part if not math.isfinite(point[1])]
        ends = odd[:1] or [min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])]
        kept += sorted(set(ends))
    return kept


def stretches(curve: Curve) -> list[Curve]:
    """The curve cut where it is not finite.

    >>> stretches([(0, 1.0), (1, float("nan")), (2, 3.0)])
    [[(0, 1.0)], [(2, 3.0)]]
    """
    found: list[Curve] = [[]]
    for point in curve:
        if math.isfinite(point[1]):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]

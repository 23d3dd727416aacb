"""How cost grows, as one SVG of small panels. Pure; plain text, since the report's helpers draw time lines only.

Along x the measured points stand at equal distances (each axis grows by factors); y is logarithmic, so that equal factors are
equally high. Every peer has its own mark and its name at the end of its line: colour is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.proxy.cases import CURVES, Curve
from benchmarks.proxy.results import Result, Run, Value

WIDTH, HEIGHT = 480.0, 250.0
"""Of one panel."""
LEFT, RIGHT, TOP, BOTTOM = 48.0, 82.0, 34.0, 40.0
COLUMNS = 2
SHORT = {1e3: "k", 1e6: "M"}
MARKS = ("circle", "square", "diamond", "up", "down", "cross")
STYLE = """
text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:13px}.grid{stroke:#ddd;stroke-width:1}
.line{fill:none;stroke:currentColor;stroke-width:1.6}.mark{fill:#fff;stroke:currentColor;stroke-width:1.6}
.chaos{color:#c2410c}.chaos .line{stroke-width:3}.nginx{color:#15803d}.haproxy{color:#1d4ed8}.envoy{color:#7c3aed}
.toxiproxy{color:#0f766e}.back{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.back,.mark{fill:#161616}.chaos{color:#fb923c}
.nginx{color:#4ade80}.haproxy{color:#93c5fd}.envoy{color:#c4b5fd}.toxiproxy{color:#5eead4}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One peer's values; None where nothing was measured."""

    peer: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing: the same x positions for all lines."""

    title: str
    at: tuple[float, ...]
    lines: tuple[Line, ...]


def panel(result: Result, curve: Curve, title: str, value: Value) -> Panel | None:
    """What was measured along a curve; None when nothing was."""
    lines = []
    for peer in curve.peers:
        spreads = [result.spread(curve.name, case.name, peer, value) for case in curve.cases]
        found = tuple(one.median if one is not None and one.median > 0 else None for one in spreads)
        if any(one is not None for one in found):
            lines.append(Line(peer, found))
    return Panel(title, curve.at, tuple(lines)) if lines else None


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from at most `low` (> 0) to at least `high`: at least two."""
    steps = [factor * 10.0**power for power in range(-3, 10) for factor in (1, 2, 5)]
    first = max((place for place, step in enumerate(steps) if step <= low), default=0)
    last = min((place for place, step in enumerate(steps) if step >= high), default=len(steps) - 1)
    return steps[first : max(last, first + 1) + 1]


def short(value: float) -> str:
    """`512`, `20k`, `1M`."""
    for size, letter in sorted(SHORT.items(), reverse=True):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def apart(wanted: Sequence[float], least: float) -> list[float]:
    """The same positions, in the same order, moved down where needed so that each pair is `least` apart."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    found = list(wanted)
    below = -math.inf
    for place in order:
        found[place] = below = max(found[place], below + least)
    return found


def _mark(kind: str, x: float, y: float) -> str:
    paths = {
        "circle": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "square": "m-3.5 -3.5h7v7h-7z",
        "diamond": "m-5 0l5 -5l5 5l-5 5z",
        "up": "m-4.5 3.5h9l-4.5 -8z",
        "down": "m-4.5 -3.5h9l-4.5 8z",
        "cross": "m-4 -4l8 8m0 -8l-8 8",
    }
    return f'<path class="mark" d="M{x:.1f} {y:.1f}{paths[kind]}"/>'


def _drawn(one: Panel) -> list[str]:
    values = [value for line in one.lines for value in line.values if value is not None]
    ticks = log_ticks(min(values), max(values))
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    xs = [LEFT + 10 + (width - 20) * place / max(1, len(one.at) - 1) for place in range(len(one.at))]

    def y_of(value: float) -> float:
        return TOP + height * (high - math.log(value)) / (high - low)

    drawn = [f'<text class="title" x="{LEFT:.0f}" y="18">{escape(one.title)}</text>']
    labelled = (
        ticks if len(ticks) <= 8 else [tick for tick in ticks if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    )
    for tick in labelled:
        y = y_of(tick)
        drawn.append(f'<path class="grid" d="M{LEFT:.1f} {y:.1f}h{width:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for x, at in zip(xs, one.at, strict=True):
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18:.1f}" text-anchor="middle">{short(at)}</text>')
    names: list[tuple[str, float, float]] = []
    for line in one.lines:
        points = [(x, y_of(value)) for x, value in zip(xs, line.values, strict=True) if value is not None]
        joined = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        kind = line.peer.partition("+")[0]
        mark = MARKS[("chaos", "nginx", "haproxy", "envoy", "toxiproxy").index(kind)]
        drawn.append(f'<g class="{kind}"><path class="line" d="M{joined}"/>')
        drawn += [_mark(mark, x, y) for x, y in points]
        drawn.append("</g>")
        names.append((line.peer, *points[-1]))
    for (name, x, _), y in zip(names, apart([y for _, _, y in names], 13), strict=True):
        drawn.append(f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{escape(name)}</text>')
    return drawn


def draw(result: Result) -> str:
    """The whole picture; an empty one when no curve was measured."""

    def cpu(run: Run) -> float:
        return run.cpu_us

    def memory(run: Run) -> float:
        return run.rss_mb

    wanted = [panel(result, curve, f"CPU µs by {curve.axis}", cpu) for curve in CURVES]
    wanted += [panel(result, curve, f"memory (MB) by {curve.axis}", memory) for curve in CURVES[:2]]
    panels = [one for one in wanted if one is not None]
    rows = math.ceil(len(panels) / COLUMNS)
    size = f"{COLUMNS * WIDTH:.0f} {max(1, rows) * HEIGHT:.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
        "<title>How the cost of proxies grows</title>",
        f"<style>{STYLE}</style>",
        '<rect class="back" width="100%" height="100%"/>',
    ]
    for place, one in enumerate(panels):
        x, y = (place % COLUMNS) * WIDTH, (place // COLUMNS) * HEIGHT
        parts += [f'<g transform="translate({x:.0f} {y:.0f})">', *_drawn(one), "</g>"]
    return "\n".join([*parts, "</svg>", ""])

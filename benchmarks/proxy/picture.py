"""How cost grows, as one SVG of small panels. Pure; plain text, since the report's helpers draw time lines only.

Along x the measured points stand at equal distances (each axis grows by factors); y is logarithmic, so that equal factors are
equally high. A line is the median over the rounds, a thin bar its range. Every peer has its own mark, and its name stands at
the end of its line: colour is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.proxy.cases import CURVES, Curve
from benchmarks.proxy.results import Result, Run, Spread, Value

WIDTH, HEIGHT = 480.0, 280.0
"""Of one panel."""
LEFT, RIGHT, TOP, BOTTOM = 48.0, 94.0, 34.0, 58.0
COLUMNS = 2
LABEL = 14.0
"""The least distance of two names."""
MOST_LABELS = 8
"""Of the y axis; with more ticks, powers of ten alone have one."""
SHORT = {1e3: "k", 1e6: "M"}
MARKS = {
    "chaos": "circle", "nginx": "square", "haproxy": "diamond", "envoy": "up", "toxiproxy": "star", "aiohttp": "down",
    "mitmproxy": "cross", "direct": "bar",
}  # fmt: skip
"""By a peer's name without its filter: with and without one it is in no panel together."""
LIGHT = {
    "chaos": "#c2410c", "nginx": "#15803d", "haproxy": "#1d4ed8", "envoy": "#7c3aed", "toxiproxy": "#0f766e",
    "aiohttp": "#a16207", "mitmproxy": "#be185d", "direct": "#52525b",
}  # fmt: skip
DARK = {
    "chaos": "#fb923c", "nginx": "#4ade80", "haproxy": "#93c5fd", "envoy": "#c4b5fd", "toxiproxy": "#5eead4",
    "aiohttp": "#fde047", "mitmproxy": "#f9a8d4", "direct": "#a1a1aa",
}  # fmt: skip


def _colours(of: dict[str, str]) -> str:
    return "".join(f".{peer}{{color:{colour}}}" for peer, colour in of.items())


STYLE = f"""
text{{font:12px system-ui,sans-serif;fill:#333}}.title{{font-weight:600;font-size:13px}}.axis{{fill:#666;font-size:11px}}
.grid{{stroke:#ddd;stroke-width:1}}.line{{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}}
.mark{{fill:#fff;stroke:currentColor;stroke-width:1.6}}.range{{stroke:currentColor;stroke-width:1;opacity:.55}}
.name{{fill:currentColor}}.lead{{fill:none;stroke:currentColor;stroke-width:.8;opacity:.6}}
.chaos .line{{stroke-width:3}}.chaos .name{{font-weight:700}}.back{{fill:#fff}}{_colours(LIGHT)}
@media(prefers-color-scheme:dark){{text{{fill:#ddd}}.axis{{fill:#aaa}}.grid{{stroke:#3a3a3a}}.back,.mark{{fill:#161616}}
.name{{fill:currentColor}}{_colours(DARK)}}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One peer's values; None where nothing was measured."""

    peer: str
    values: tuple[Spread | None, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing: the same x positions for all lines."""

    title: str
    axis: str
    at: tuple[float, ...]
    lines: tuple[Line, ...]


def panel(result: Result, curve: Curve, title: str, value: Value) -> Panel | None:
    """What was measured along a curve; None when nothing was."""
    lines = []
    for peer in curve.peers:
        spreads = [result.spread(curve.name, case.name, peer, value) for case in curve.cases]
        found = tuple(one if one is not None and one.low > 0 else None for one in spreads)
        if any(one is not None for one in found):
            lines.append(Line(peer, found))
    return Panel(title, curve.axis, curve.at, tuple(lines)) if lines else None


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


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Positions in the same order, each pair at least `least` apart, all between `low` and `high`, as near as can be.

    Those that are too near each other spread to both sides of where they wanted to be; with no room they go beyond `high`.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    # Without the distances that are due in any case, what remains may not fall: pools of equal values are moved as one.
    pools: list[list[float]] = []
    for rank, place in enumerate(order):
        pools.append([wanted[place] - rank * least])
        while len(pools) > 1 and _middle(pools[-2]) >= _middle(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    flat = [_middle(pool) for pool in pools for _ in pool]
    room = high - (len(wanted) - 1) * least
    found = [0.0] * len(wanted)
    for rank, place in enumerate(order):
        found[place] = max(low, min(room, flat[rank])) + rank * least
    return found


def _middle(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mark(kind: str, x: float, y: float) -> str:
    paths = {
        "circle": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "square": "m-3.5 -3.5h7v7h-7z",
        "diamond": "m-5 0l5 -5l5 5l-5 5z",
        "up": "m-4.5 3.5h9l-4.5 -8z",
        "down": "m-4.5 -3.5h9l-4.5 8z",
        "cross": "m-4 -4l8 8m0 -8l-8 8",
        "star": "m-4.5 0h9m-4.5 -4.5v9m-3 -7.5l6 6m0 -6l-6 6",
        "bar": "m-4.5 0h9",
    }
    return f'<path class="mark" d="M{x:.1f} {y:.1f}{paths[kind]}"/>'


def _drawn(one: Panel) -> list[str]:
    values = [value for line in one.lines for value in line.values if value is not None]
    ticks = log_ticks(min(value.low for value in values), max(value.high for value in values))
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    xs = [LEFT + 10 + (width - 20) * place / max(1, len(one.at) - 1) for place in range(len(one.at))]

    def y_of(value: float) -> float:
        return TOP + height * (high - math.log(value)) / (high - low)

    drawn = [f'<text class="title" x="{LEFT:.0f}" y="18">{escape(one.title)}</text>']
    powers = [tick for tick in ticks if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    for tick in ticks if len(ticks) <= MOST_LABELS else powers:
        y = y_of(tick)
        drawn.append(f'<path class="grid" d="M{LEFT:.1f} {y:.1f}h{width:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for x, at in zip(xs, one.at, strict=True):
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18:.1f}" text-anchor="middle">{short(at)}</text>')
    middle = LEFT + width / 2
    axis = f'<text class="axis" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 36:.1f}" text-anchor="middle">{escape(one.axis)}</text>'
    drawn.append(axis)
    # Ours is drawn last, above the others, where lines cover each other.
    for line in sorted(one.lines, key=lambda line: line.peer == "chaos"):
        drawn += _line(line, xs, y_of)
    ends = [_end(line, xs, y_of) for line in one.lines]
    places = apart([y for _, y in ends], LABEL, TOP, HEIGHT - BOTTOM)
    for line, (x, y), place in zip(one.lines, ends, places, strict=True):
        kind, right = line.peer.partition("+")[0], LEFT + width + 8
        drawn.append(f'<g class="{kind}"><path class="lead" d="M{x + 6:.1f} {y:.1f}L{right - 3:.1f} {place:.1f}"/>')
        drawn.append(f'<text class="name" x="{right:.1f}" y="{place + 4:.1f}">{escape(line.peer)}</text></g>')
    return drawn


def _points(line: Line, xs: Sequence[float]) -> list[tuple[float, Spread]]:
    return [(x, value) for x, value in zip(xs, line.values, strict=True) if value is not None]


def _end(line: Line, xs: Sequence[float], y_of: Callable[[float], float]) -> tuple[float, float]:
    x, last = _points(line, xs)[-1]
    return x, y_of(last.median)


def _line(line: Line, xs: Sequence[float], y_of: Callable[[float], float]) -> list[str]:
    kind, points = line.peer.partition("+")[0], _points(line, xs)
    joined = "L".join(f"{x:.1f} {y_of(value.median):.1f}" for x, value in points)
    drawn = [f'<g class="{kind}"><path class="line" d="M{joined}"/>']
    drawn += [
        f'<path class="range" d="M{x:.1f} {y_of(value.high):.1f}V{y_of(value.low):.1f}"/>'
        for x, value in points
        if value.high > value.low
    ]
    drawn += [_mark(MARKS[kind], x, y_of(value.median)) for x, value in points]
    return [*drawn, "</g>"]


def draw(result: Result) -> str:
    """The whole picture; an empty one when no curve was measured."""

    def cpu(run: Run) -> float:
        return run.cpu_us

    def memory(run: Run) -> float:
        return run.rss_mb

    def latency(run: Run) -> float:
        return run.p50_ms

    wanted = [
        panel(result, curve, "latency p50 (ms)", latency)
        if curve.latency
        else panel(result, curve, "CPU per request (µs)", cpu)
        for curve in CURVES
    ]
    wanted += [panel(result, curve, "resident memory (MB)", memory) for curve in CURVES[:2]]
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

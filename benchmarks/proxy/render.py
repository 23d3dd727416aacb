"""A stored result as Markdown tables, and as the document and picture that the repository keeps. Pure, apart from `publish`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proxy.cases import CASES, CURVES, RATES, Curve
from benchmarks.proxy.peers import STARTS
from benchmarks.proxy.picture import draw
from benchmarks.proxy.results import Result, Run, Spread, Value

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""Between these lines of docs/benchmarks.md stands what `tables` says, and nothing else."""
PICTURE = "benchmarks.svg"


def _cpu(run: Run) -> float:
    return run.cpu_us


def _p50(run: Run) -> float:
    return run.p50_ms


def _p99(run: Run) -> float:
    return run.p99_ms


def _memory(run: Run) -> float:
    return run.rss_mb


@dataclass(frozen=True, slots=True)
class Limit:
    """One line of the budget: ours is at most `most` times that of `peer` (without a peer: at most so much)."""

    section: str
    case: str
    value: Value
    what: str
    peer: str
    most: float


def _budget() -> tuple[Limit, ...]:
    cpu = (
        ("idle, 0.5 kB", "nginx", 1.6),
        ("idle, 0.5 kB", "envoy", 0.5),
        ("idle, 20 kB", "nginx", 1.15),
        ("idle, 20 kB", "toxiproxy", 0.6),
        ("10 % changed, 0.5 kB", "nginx+lua", 1.2),
        ("10 % changed, 20 kB", "nginx+lua", 0.65),
        ("all changed, 0.5 kB", "nginx+lua", 0.95),
        ("all changed, 0.5 kB", "envoy+lua", 0.45),
        ("all changed, 0.5 kB", "mitmproxy", 1 / 40),
        ("all changed, 20 kB", "nginx+lua", 0.35),
    )
    found = [Limit("cpu", case, _cpu, "CPU", peer, most) for case, peer, most in cpu]
    for rate in RATES:
        found.append(Limit("latency", f"{rate}/s", _p50, "latency p50", "nginx", 1.1))
        found.append(Limit("latency", f"{rate}/s", _p99, "latency p99", "nginx", 1.0))
    return tuple(found)


BUDGET = _budget()
MOST_MEMORY_MB = 40.0


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def cell(spread: Spread | None, missing: str = "–") -> str:
    """`14.7 (14.2–15.1)`: the median and its range."""
    if spread is None:
        return missing
    return f"{number(spread.median)} ({number(spread.low)}–{number(spread.high)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _names(result: Result) -> list[str]:
    return [name for name in STARTS if name in result.peers]


def _named(name: str) -> str:
    return "**chaos proxy**" if name == "chaos" else name


def cpu_table(result: Result) -> str:
    """CPU microseconds per request, and memory, of every peer."""
    rows = []
    for name in _names(result):
        if name == "direct":
            continue
        cells = []
        for case in CASES:
            measured = result.spread("cpu", case.name, name, _cpu)
            failed = any((run.section, run.case, run.peer) == ("cpu", case.name, name) for run in result.runs)
            cells.append(cell(measured, "failed" if failed else "cannot"))
        held = max((run.rss_mb for run in result.runs if run.peer == name and run.section == "cpu"), default=0.0)
        rows.append([f"{_named(name)} {result.peers[name]}", *cells, f"{held:.0f} MB"])
    return _table(["proxy", *(case.name for case in CASES), "memory"], rows)


def met(limit: Limit, ratio: Spread | None) -> str:
    """Whether the median keeps the limit; a range that reaches across it is said."""
    if ratio is None:
        return "not measured"
    word = "yes" if ratio.median <= limit.most else "**no**"
    across = ratio.low <= limit.most < ratio.high
    return f"{word}, within the noise" if across else word


def budget_table(result: Result) -> str:
    """Each line of the budget, as a ratio inside rounds."""
    rows = []
    for limit in BUDGET:
        ratio = result.ratio(limit.section, limit.case, "chaos", limit.peer, limit.value)
        if ratio is not None or limit.peer in result.peers:
            at_most = f"{limit.most:.3g} × {limit.peer}"
            rows.append([f"{limit.what}, {limit.case}", at_most, cell(ratio), met(limit, ratio)])
    held = max((run.rss_mb for run in result.runs if run.peer == "chaos" and run.section == "cpu"), default=None)
    if held is not None:
        rows.append(
            ["memory", f"{MOST_MEMORY_MB:g} MB", f"{held:.1f} MB", "yes" if held <= MOST_MEMORY_MB else "**no**"]
        )
    return _table(["what", "at most", "measured", "kept"], rows)


def latency_table(result: Result) -> str:
    """Latencies at fixed rates, and what each peer adds to a direct connection."""
    rows = []
    for name in _names(result):
        cells = []
        for rate in RATES:
            case = f"{rate}/s"
            p50, p99 = (result.spread("latency", case, name, value) for value in (_p50, _p99))
            cells += [cell(p50), cell(p99), _added(result, case, name)]
        if any(one != "–" for one in cells):
            rows.append([_named(name), *cells])
    head = [f"{what} at {rate}/s" for rate in RATES for what in ("p50", "p99", "added p50 / p99")]
    return _table(["milliseconds", *head], rows)


def _added(result: Result, case: str, name: str) -> str:
    ours, direct = result.good("latency", case, name), result.good("latency", case, "direct")
    both = sorted(ours.keys() & direct.keys())
    if name == "direct" or not both:
        return "–"

    def middle(value: Value) -> float:
        return statistics.median(value(ours[one]) - value(direct[one]) for one in both)

    return f"{middle(_p50):.2f} / {middle(_p99):.2f}"


def curve_table(result: Result, curve: Curve) -> str:
    """CPU and memory of each peer along one axis."""
    rows = []
    for name in curve.peers:
        if name not in result.peers:
            continue
        for what, value in (("CPU µs", _cpu), ("MB", _memory)):
            cells = [cell(result.spread(curve.name, case.name, name, value)) for case in curve.cases]
            if any(one != "–" for one in cells):
                rows.append([_named(name), what, *cells])
    return _table([curve.axis, "", *(f"{at:,.0f}" for at in curve.at)], rows) if rows else ""


def _origin(result: Result) -> str:
    machine, settings = result.machine, result.settings
    noise, foreign = result.noise(), result.foreign()
    where = f"{machine['cores']} cores of {machine['processor']}, Linux {machine['kernel']}, Python {machine['python']}"
    how = f"{settings['rounds']:g} rounds of {settings['seconds']:g} s each"
    lines = [f"Taken {result.taken} on {where}; {how}. Median (lowest–highest)."]
    if noise is not None and foreign is not None:
        lines.append(
            f"Rounds of the same measurement lie {noise.median:.0%} apart (median; worst {noise.high:.0%}); others used "
            f"{foreign.median:.0%} of the peers' core (worst {foreign.high:.0%})."
        )
    failed = result.failed()
    if failed:
        lines.append(f"Left out: {len(failed)} of {len(result.runs)} runs, in which requests failed.")
    if settings["wrk"] == 0:
        lines.append("wrk was missing: the load was the slower one in Python.")
    lines += [f"Absent: {name} ({why})." for name, why in result.absent.items()]
    return "\n".join(lines)


def tables(result: Result) -> str:
    """Everything that was measured, as Markdown."""
    parts = [_origin(result)]

    def add(title: str, table: Callable[[], str], *sections: str) -> None:
        if any(run.section in sections for run in result.runs):
            parts.extend([f"### {title}", table()])

    add("CPU microseconds of the proxy per request", lambda: cpu_table(result), "cpu")
    add("The budget: our proxy as a multiple of others", lambda: budget_table(result), "cpu", "latency")
    add("Latency at a fixed rate, 0.5 kB, idle", lambda: latency_table(result), "latency")
    if any(run.section in [curve.name for curve in CURVES] for run in result.runs):
        parts.extend(["### How cost grows", f"![CPU and memory along each axis]({PICTURE})"])
        parts.extend(table for curve in CURVES if (table := curve_table(result, curve)))
    return "\n\n".join(parts)


def with_tables(document: str, result: Result) -> str:
    """The document with the measured part replaced. Raises ValueError when it has no place for it."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(result)}\n\n{END}{after}"


def publish(result: Result, docs: Path) -> None:
    """docs/benchmarks.md and its picture say what this result says."""
    document = docs / "benchmarks.md"
    document.write_text(with_tables(document.read_text(), result))
    (docs / PICTURE).write_text(draw(result))

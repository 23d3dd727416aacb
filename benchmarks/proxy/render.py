"""A stored result as Markdown tables, and as the document and picture that the repository keeps. Pure, apart from `publish`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.proxy.cases import CASES, COMPILED, CURVES, LATENCIES, TWO, WORKERS, Case, Curve
from benchmarks.proxy.peers import STARTS
from benchmarks.proxy.picture import draw
from benchmarks.proxy.results import Result, Run, Spread, Value, noise, spread

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""Between these lines of docs/benchmarks.md stands what `tables` says, and nothing else."""
PICTURE = "benchmarks.svg"
ENOUGH = 5
"""So many rounds fall on the same side of their true median by chance once in 16 times; fewer prove little."""
BUSY = 0.1
"""When others use more than this share of the peers' core, absolute figures are those of a busy machine."""


def _cpu(run: Run) -> float:
    return run.cpu_us


def _p50(run: Run) -> float:
    return run.p50_ms


def _p99(run: Run) -> float:
    return run.p99_ms


def _memory(run: Run) -> float:
    return run.rss_mb


def _largest(run: Run) -> float:
    """In the largest process that serves: the only one, or the largest worker."""
    return run.largest_mb or run.parent_mb


def _whole(run: Run) -> float:
    return run.pss_mb


@dataclass(frozen=True, slots=True)
class Limit:
    """One line of the budget: ours is at most `most` times that of `peer` (without a peer: at most so much)."""

    section: str
    case: str
    value: Value
    what: str
    peer: str | None
    most: float
    ours: str = "chaos"
    unit: str = ""

    @property
    def at_most(self) -> str:
        """`1.6 × nginx`, or `40 MB`."""
        return f"{self.most:.3g} {self.unit}" if self.peer is None else f"{self.most:.3g} × {_plain(self.peer)}"

    def found(self, result: Result) -> Spread | None:
        """What was measured, over the rounds."""
        if self.peer is None:
            return result.spread(self.section, self.case, self.ours, self.value)
        return result.ratio(self.section, self.case, self.ours, self.peer, self.value)


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
    for case in LATENCIES:
        found.append(Limit("latency", case.name, _p50, "latency p50", "nginx", 1.1))
        found.append(Limit("latency", case.name, _p99, "latency p99", "nginx", 1.0))
    found += [Limit("workers", case.name, _cpu, "CPU, two workers", "chaos", 1.1, TWO) for case in WORKERS]
    found.append(Limit("cpu", "all changed, 20 kB", _memory, "resident memory", None, 40.0, unit="MB"))
    found.append(Limit("workers", WORKERS[-1].name, _largest, "resident memory, a worker", None, 40.0, TWO, "MB"))
    return tuple(found)


BUDGET = _budget()


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def cell(spread: Spread | None, missing: str = "–") -> str:
    """`14.7 (14.2–15.1)`: the median and its range."""
    if spread is None:
        return missing
    to = "–" if spread.low >= 0 else " to "
    return f"{number(spread.median)} ({number(spread.low)}{to}{number(spread.high)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _names(result: Result) -> list[str]:
    return [name for name in STARTS if name in result.peers]


def _plain(name: str) -> str:
    return {"chaos": "one worker"}.get(name, name)


def _named(name: str) -> str:
    return {
        "chaos": "**chaos proxy**",
        COMPILED: "**chaos proxy**, compiled",
        TWO: "**chaos proxy**, `--workers 2`",
    }.get(name, name)


def _measured(result: Result, section: str, case: Case, name: str, value: Value) -> str:
    """A cell; why it is empty where nothing was measured."""
    failed = any((run.section, run.case, run.peer) == (section, case.name, name) for run in result.runs)
    return cell(result.spread(section, case.name, name, value), "failed" if failed else "cannot")


def cpu_table(result: Result) -> str:
    """CPU microseconds per request, and memory, of every peer."""
    rows = []
    for name in _names(result):
        good = [run for case in CASES for run in result.good("cpu", case.name, name).values()]
        if name in ("direct", TWO) or not any(run.section == "cpu" and run.peer == name for run in result.runs):
            continue
        cells = [_measured(result, "cpu", case, name, _cpu) for case in CASES]
        held = max((run.rss_mb for run in good), default=0.0)
        rows.append([f"{_named(name)} {result.peers[name]}", *cells, f"{held:.0f} MB"])
    return _table(["proxy", *(case.name for case in CASES), "memory"], rows)


def workers_table(result: Result) -> str:
    """What a second worker costs: CPU of all processes together, and what each of them holds."""
    rows = []
    last = WORKERS[-1].name
    for name in ("chaos", TWO):
        cells = [_measured(result, "workers", case, name, _cpu) for case in WORKERS]
        one = all(not run.largest_mb for run in result.good("workers", last, name).values())
        parent = result.spread("workers", last, name, lambda run: run.parent_mb)
        held = [result.spread("workers", last, name, value) for value in (_largest, _whole)]
        rows.append([_named(name), *cells, "the same process" if one else cell(parent), *map(cell, held)])
    head = ["", *(f"CPU µs, {case.name}" for case in WORKERS)]
    return _table([*head, "MB, parent (RSS)", "MB, largest worker (RSS)", "MB, all processes (PSS)"], rows)


def met(limit: Limit, found: Spread | None) -> str:
    """Whether the median keeps the limit; what stands against believing it is said."""
    if found is None:
        return "not measured"
    word = "yes" if found.median <= limit.most else "**no**"
    if found.low <= limit.most < found.high:
        return f"{word}, within the noise"
    if found.rounds < ENOUGH:
        return f"{word}, in {found.rounds} of {found.rounds} rounds"
    return word


def budget_table(result: Result) -> str:
    """Each line of the budget: a ratio inside rounds, or an amount."""
    sections = {run.section for run in result.runs}
    rows = []
    for limit in BUDGET:
        takes_part = limit.section in sections and limit.ours in result.peers
        if takes_part and (limit.peer is None or limit.peer in result.peers):
            found = limit.found(result)
            row = [f"{limit.what}, {limit.case}", limit.at_most, cell(found), met(limit, found)]
            if COMPILED in result.peers:
                row += _compiled(result, limit)
            rows.append(row)
    head = ["what", "at most", "measured", "kept"]
    return _table([*head, "compiled", "kept"] if COMPILED in result.peers else head, rows)


def _compiled(result: Result, limit: Limit) -> list[str]:
    """The same limit with the data plane compiled."""
    if limit.ours != "chaos":
        return ["–", "–"]
    limit = replace(limit, ours=COMPILED)
    found = limit.found(result)
    return [cell(found), met(limit, found)]


def _added(result: Result, case: Case, name: str, value: Value) -> str:
    """What a peer adds to a direct connection, formed inside of each round; that it may be nothing is said."""
    found = spread([ours - bare for ours, bare in result.paired("latency", case.name, name, "direct", value)])
    if name == "direct" or found is None:
        return "–"
    return f"{cell(found)}, noise" if found.low <= 0 <= found.high else cell(found)


def latency_table(result: Result, case: Case) -> str:
    """Latencies at one fixed rate, and what each peer adds to a direct connection."""
    rows = []
    for name in _names(result):
        cells = [
            text
            for value in (_p50, _p99)
            for text in (cell(result.spread("latency", case.name, name, value)), _added(result, case, name, value))
        ]
        if any(one != "–" for one in cells):
            rows.append([_named(name), *cells])
    return _table([f"milliseconds at {case.rate:g}/s", "p50", "added to p50", "p99", "added to p99"], rows)


def curve_table(result: Result, curve: Curve) -> str:
    """CPU and memory, or latency, of each peer along one axis."""
    rows = []
    shown = (("p50 ms", _p50),) if curve.latency else (("CPU µs", _cpu), ("MB", _memory))
    for name in curve.peers:
        if name not in result.peers:
            continue
        for what, value in shown:
            cells = [cell(result.spread(curve.name, case.name, name, value)) for case in curve.cases]
            if any(one != "–" for one in cells):
                rows.append([_named(name), what, *cells])
    return _table([curve.axis, "", *(f"{at:,.0f}" for at in curve.at)], rows) if rows else ""


def _noise(result: Result) -> str:
    """How far the same measurement, taken again, lies off; of single rounds, so a median of several lies closer."""
    latency = {"latency"} | {curve.name for curve in CURVES if curve.latency}
    closed = {run.section for run in result.runs} - latency
    ratios = [limit for limit in BUDGET if limit.peer is not None]
    found = {
        "CPU": result.noise(closed, _cpu),
        "latency p50": result.noise(latency, _p50),
        "latency p99": result.noise({"latency"}, _p99),  # at the few requests of a curve it is the slowest one
        "a ratio of the budget": noise(
            [result.ratios(one.section, one.case, one.ours, one.peer or "", one.value) for one in ratios]
        ),
    }
    told = [f"{what} {one.usual:.0%} ({one.seldom:.0%})" for what, one in found.items() if one is not None]
    if not told:
        return "One round of each measurement: nothing can be said about noise."
    return f"A single round usually lies so far off the median of its measurement (one in twenty further): {', '.join(told)}."


def _origin(result: Result) -> str:
    machine, settings = result.machine, result.settings
    foreign = result.foreign()
    where = f"{machine['cores']} cores of {machine['processor']}, Linux {machine['kernel']}, Python {machine['python']}"
    how = f"{settings['rounds']:g} rounds of {settings['seconds']:g} s each"
    lines = [f"Taken {result.taken} on {where}; {how}. Median (lowest–highest).", _noise(result)]
    if foreign is not None:
        busy = ": a busy machine, on which everything takes longer than on a quiet one" if foreign.median > BUSY else ""
        lines.append(f"Others used {foreign.median:.0%} of the peers' core (at most {foreign.high:.0%}){busy}.")
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
    measured = {run.section for run in result.runs}

    def add(title: str, table: Callable[[], str], *sections: str) -> None:
        if measured.intersection(sections):
            parts.extend([f"### {title}", table()])

    add("CPU microseconds of the proxy per request", lambda: cpu_table(result), "cpu")
    add("The budget: our proxy as a multiple of others", lambda: budget_table(result), "cpu", "latency", "workers")
    add("One worker and two, on one core", lambda: workers_table(result), "workers")
    if "latency" in measured:
        parts.append("### Latency at a fixed rate, 0.5 kB, idle")
        parts.extend(latency_table(result, case) for case in LATENCIES)
    if measured.intersection(curve.name for curve in CURVES):
        parts.extend(["### How cost grows", f"![CPU, memory and latency along each axis]({PICTURE})"])
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

"""What the off-switch's measurement found, and the page that is made of it. Pure."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

BUDGET_S = {"proxies": 1.0, "processes": 2.0, "containers": 2.0}
"""Within so many seconds everything of its kind is to be undone. A container whose own call hangs has no budget."""
HUNG = "the container whose call hung"
CONDITIONS = {
    "calm": "Nothing else runs",
    "busy": "The machine is overloaded",
    "hanging": "A Docker call hangs and one of two proxies does not answer",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One switch, under one condition, and one kind of thing that was hurt: seconds from the switch to the last undo, run by run."""

    condition: str
    switch: str
    what: str
    seconds: tuple[float, ...]

    def within(self) -> int | None:
        """How many runs kept the budget; None where there is none."""
        budget_s = BUDGET_S.get(self.what)
        return None if budget_s is None else sum(one <= budget_s for one in self.seconds)

    def median_s(self) -> float:
        """Half of the runs took no longer."""
        return statistics.median(self.seconds)

    def p90_s(self) -> float:
        """The shortest time that nine runs of ten did not exceed: a time that was measured, not one between two."""
        return sorted(self.seconds)[math.ceil(0.9 * len(self.seconds)) - 1]


@dataclass(frozen=True, slots=True)
class Result:
    """A whole measurement: when and on what machine it was made, and its cells."""

    date: str
    machine: Mapping[str, str]
    cells: tuple[Cell, ...]

    def to_json(self) -> str:
        """One JSON text that `from_json` reads back to an equal result."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Result:
        """The result of `to_json`."""
        row = json.loads(text)
        cells = tuple(Cell(**{**cell, "seconds": tuple(cell["seconds"])}) for cell in row["cells"])
        return Result(row["date"], row["machine"], cells)

    def missed(self) -> list[Cell]:
        """The cells in which more than one run of ten took longer than the budget."""
        return [cell for cell in self.cells if cell.what in BUDGET_S and cell.p90_s() > BUDGET_S[cell.what]]


def collected(took: Iterable[tuple[str, str, Mapping[str, float]]]) -> tuple[Cell, ...]:
    """The cells of single runs: condition, switch, and what was hurt → seconds. In the order in which they came first."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for condition, switch, seconds in took:
        for what, one in seconds.items():
            found.setdefault((condition, switch, what), []).append(round(one, 4))
    return tuple(Cell(*key, tuple(values)) for key, values in found.items())


def page(result: Result) -> str:
    """The page: what was measured and how, a table for each condition."""
    machine = ", ".join(f"{name} {value}" for name, value in result.machine.items())
    tables = "\n".join(_section(condition, result.cells) for condition in CONDITIONS)
    return f"""\
# The off-switch

How long it takes from the switch to the last undo, as `make offswitch` measured it on {result.date} ({machine}). This page is made of
`benchmarks/offswitch/results/{result.date}.json`; nobody writes it by hand.

**What is hurt**, all at once in every run: a fault at two fault proxies, a killed and a stopped process, and where there is a Docker
engine a killed, a paused and a partitioned container. A kind counts as undone when the last of it is.

**Where the clock starts.** *Ctrl-C*: at the signal. *chaos stop*: at the start of the command, so that its own start counts. *guard*: when
Prometheus is first told the value that breaks the guard; taking it in, the run's next look and the undo count. How long a real
metric takes before that (a scrape interval, an evaluation) is not the off-switch's, and the plan says it.

**Where it ends**, seen from outside of the run every {LOOK_MS} ms: the proxies say that nobody holds them, the processes run,
connections to the partitioned container are answered, and the engine's own events say when the other two were started and let go on.

**Budget**: {BUDGET_S["proxies"]:g} s for proxies, {BUDGET_S["containers"]:g} s for processes and containers.

{tables}"""


LOOK_MS = 10
"""How often is looked, in milliseconds: a figure may be too long by so much."""
_TOLD = {
    "calm": "",
    "busy": "Two processes for each processor do nothing but burn time, from a second and a half before the switch.\n\n",
    "hanging": (
        "The engine gets the call that pauses a fourth container only when all the others are back (in every tenth run, eight seconds "
        "after the switch), and the proxy that is asked first was stopped. *Proxies* is the other one. The fourth container has no budget, "
        "since nothing can be taken back that has not happened yet: its clock starts when the engine gets the call.\n\n"
    ),
}


def _section(condition: str, cells: Sequence[Cell]) -> str:
    found = [cell for cell in cells if cell.condition == condition]
    if not found:
        return ""
    rows = "\n".join(_row(cell) for cell in found)
    title, told = CONDITIONS[condition], _TOLD[condition]
    if condition == "hanging" and all(cell.what != HUNG for cell in found):  # no engine, so no call of one
        title, told = (
            "One of two proxies does not answer",
            "The proxy that is asked first was stopped; *proxies* is the other one.\n\n",
        )
    return (
        f"## {title}\n\n{told}"
        "| switch | what was hurt | runs | median | 90 % within | longest | in budget |\n"
        f"|---|---|---|---|---|---|---|\n{rows}\n"
    )


def _row(cell: Cell) -> str:
    figures = " | ".join(f"{one:.2f} s" for one in (cell.median_s(), cell.p90_s(), max(cell.seconds)))
    within = cell.within()
    share = "no budget" if within is None else f"{within / len(cell.seconds):.0%}"
    return f"| {cell.switch} | {cell.what} | {len(cell.seconds)} | {figures} | {share} |"

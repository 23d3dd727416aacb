"""The page docs/kills.md: kind of effect × who was killed, from a stored round. Pure."""

from __future__ import annotations

from benchmarks.kills.results import Counted, Round

HEAD = """\
# What is left when somebody dies

Made by `make kills`, which kills with SIGKILL: the run at every step that it takes, at once and a little later, with every kind of effect
on; and its warden, its load and the fault proxy at every step. After each kill it waits until nothing of the run is left: no
effect, no process, no state on the disk. The sum of a round is in [benchmarks/kills/results](../benchmarks/kills/results), the tests are
in [tests/safety](../tests/safety). `make test` makes a seeded sample of these kills.
"""
NONE = "\nNo whole round is stored yet.\n"
NOTES = """\
Times count from the kill until nothing of the run was left. For the run's own death that is what its warden does, and what a lease ends.
When somebody else dies the run itself must end first, in good order and with its verdict, so those times are longer. A late act is a
call that was held back on its way until the run was dead and its undo had been done, and that took hold then. For twelve seconds the
warden looks every half second whether a call to a container engine has landed, and undoes it again; its time here is those twelve.
"""


def page(made: Round | None) -> str:
    """The whole page."""
    if made is None:
        return HEAD + NONE
    said = [
        f"- {made.kills} kills, on {made.date}, in runs with a lease of {made.lease_s:g} s",
        f"- {made.left} of them left something",
        f"- {made.late} of them with an act that landed after its undo",
    ]
    if not made.passed:
        said.append("- not every test of the round passed")
    table = [
        "| lab | effects of the run | killed | kills | left something | late acts | median | longest | where the run was |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
        *(_row(row) for row in made.rows),
    ]
    return "\n".join([HEAD, *said, "", *table, "", NOTES])


def _row(row: Counted) -> str:
    where = ", ".join(f"{state} {count}" for state, count in row.states.items())
    cells = [
        row.lab,
        row.effect,
        row.killed,
        str(row.kills),
        f"**{row.left}**" if row.left else "0",
        str(row.late),
        _seconds(row.median_s),
        _seconds(row.longest_s),
        where,
    ]
    return f"| {' | '.join(cells)} |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"

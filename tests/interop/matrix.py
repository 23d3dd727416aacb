"""The matrix: what was tried, what came of it, and the page that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.cases import CASES, FAULTS, LEFT_OUT, SUBJECTS, TEXT, Case

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
_BEGIN, _END = "<!-- written by `make interop`: begin -->", "<!-- written by `make interop`: end -->"
IDLE = "idle"
CHECKS = (IDLE, *FAULTS)


def checks(case: Case) -> tuple[str, ...]:
    """What is checked of a case."""
    return (IDLE, *case.faults())


@dataclass
class Results:
    """The outcome of each case and check: "" when it held, else the reason. `untried` says why a server's were not tried."""

    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    untried: dict[str, str] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)

    def whole(self) -> bool:
        """Whether every cell was tried."""
        return all((case.name, check) in self.outcomes for case in CASES for check in checks(case))

    def version(self, environment: str, package: str) -> str:
        """The version that was asked, or nothing."""
        return self.versions.get((environment, package), "")

    def failures(self, case: Case) -> dict[str, str]:
        """The checks of a case that did not hold, and why."""
        found = {check: self.outcomes.get((case.name, check), "") for check in checks(case)}
        return {check: why for check, why in found.items() if why}

    def counts(self) -> str:
        """How many cells are what."""
        tried = {name for name, _ in self.outcomes}
        cells = [cell(self, case, check) if case.name in tried else "not tried" for case in CASES for check in CHECKS]
        failed, untried = sum(one.startswith("**") for one in cells), cells.count("not tried")
        told = f"{cells.count('ok')} ok, {cells.count('not applicable')} not applicable, {failed} failed"
        return f"{told}, {untried} not tried" if untried else told


def cell(results: Results, case: Case, check: str) -> str:
    """One cell of the matrix."""
    if check not in checks(case):
        return "not applicable"
    reason = results.outcomes.get((case.name, check))
    if reason is None:
        return "not tried"
    if reason:
        return f"**failed**: {reason}"
    return "ok" if check == IDLE or case.applies(check) else "not applicable"


def table(results: Results, servers: Mapping[str, tuple[str, str]]) -> str:
    """The matrix in Markdown."""
    lines = ["| server | client | protocol | " + " | ".join(CHECKS) + " |", "|---" * (3 + len(CHECKS)) + "|"]
    for case in CASES:
        server, comma, variant = case.server.partition(",")
        server = f"{server} {results.version(*servers[case.server])}".strip() + comma + variant
        client = f"{case.client} {results.version(case.environment, case.package)}".strip()
        cells = [cell(results, case, check).replace("|", "\\|") for check in CHECKS]
        lines.append("| " + " | ".join([server, client, case.protocol, *cells]) + " |")
    return "\n".join(lines)


def _reasons() -> Iterator[str]:
    """Why some cells are not applicable."""
    for reason in dict.fromkeys(case.untouched for case in CASES if case.untouched):
        protocols = dict.fromkeys(case.protocol for case in CASES if case.untouched == reason)
        yield f"- {'; '.join(protocols)}: {reason}. Checked to pass unchanged while the fault is armed."
    yield f"- {TEXT}, wherever nothing is streamed: it edits streamed text alone, and is not armed."


def section(results: Results, servers: Mapping[str, tuple[str, str]], taken: str) -> str:
    """What the run writes into the page."""
    left = [f"- {what}: {reason}." for what, reason in LEFT_OUT]
    return "\n".join(
        [
            f"Taken {taken}; {results.counts()}. Each cell is {len(SUBJECTS)} calls.",
            "",
            table(results, servers),
            "",
            "Not applicable:",
            "",
            *_reasons(),
            "",
            "Left out:",
            "",
            *left,
        ]
    )


def publish(text: str) -> None:
    """The page has this section, and keeps everything else."""
    page = PAGE.read_text()
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")

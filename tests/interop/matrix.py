"""The matrix: what was tried, what came of it, and the page that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.cases import CASES, FAULTS, LEFT_OUT, SEMANTIC, SUBJECTS, Case

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
_BEGIN, _END = "<!-- written by `make interop`: begin -->", "<!-- written by `make interop`: end -->"
CHECKS = ("idle", *FAULTS)


@dataclass
class Results:
    """The outcome of each case and check: "" when it held, else the reason."""

    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)

    def whole(self) -> bool:
        """Whether every cell was tried."""
        return all((case.name, check) in self.outcomes for case in CASES for check in CHECKS)

    def version(self, environment: str, package: str) -> str:
        """The version that was asked, or nothing."""
        return self.versions.get((environment, package), "")


def cell(results: Results, case: Case, check: str) -> str:
    """One cell of the matrix."""
    reason = results.outcomes.get((case.name, check))
    if reason is None:
        return "not tried"
    if reason:
        return f"**failed**: {reason}"
    return "not applicable" if case.untouched and check in SEMANTIC else "ok"


def table(results: Results, servers: Mapping[str, tuple[str, str]]) -> str:
    """The matrix in Markdown."""
    lines = ["| server | client | protocol | " + " | ".join(CHECKS) + " |", "|---" * (3 + len(CHECKS)) + "|"]
    for case in CASES:
        server = f"{case.server} {results.version(*servers[case.server])}".strip()
        client = f"{case.client} {results.version(case.environment, case.package)}".strip()
        cells = [cell(results, case, check).replace("|", "\\|") for check in CHECKS]
        lines.append("| " + " | ".join([server, client, case.protocol, *cells]) + " |")
    return "\n".join(lines)


def section(results: Results, servers: Mapping[str, tuple[str, str]], taken: str) -> str:
    """What the run writes into the page."""
    counts = [cell(results, case, check) for case in CASES for check in CHECKS]
    failed = sum(one.startswith("**") for one in counts)
    told = f"{counts.count('ok')} ok, {counts.count('not applicable')} not applicable, {failed} failed"
    why = sorted({f"- {case.protocol}: {case.untouched}" for case in CASES if case.untouched})
    left = [f"- {what}: {reason}" for what, reason in LEFT_OUT]
    return "\n".join(
        [
            f"Taken {taken}; {told}. Each cell is {len(SUBJECTS)} calls.",
            "",
            table(results, servers),
            "",
            "Not applicable, and checked to pass unchanged while the fault is armed:",
            "",
            *why,
            "",
            "Left out, because client and server do not understand each other without a proxy either:",
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

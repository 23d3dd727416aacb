"""The page docs/faults.md, made of the faults themselves.

python -m chaos.app.fault_page docs/faults.md       writes it (`make docs`)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from chaos.app.fault_facts import Facts, Parameter, by_family, common_parameters

_HEAD = """\
# Faults

What goes wrong on purpose: every fault that can stand under `faults:` of an experiment. `chaos faults` lists them, `chaos faults NAME`
says what stands here. This page is made of the faults' own files by `make docs`; edit those.

*Must* is the kind of alert that should catch a fault, *quiet* the kind that would be a false lead. A fault that no alert can see says
so as its *blind spot*.

Every fault has these parameters:
"""


def page() -> str:
    """The whole page."""
    sections = [_HEAD + "\n" + _parameters(common_parameters())]
    for family, members in by_family():
        sections.append(f"## {family[:1].upper()}{family[1:]}\n\n{_overview(members)}")
        sections += [_section(one) for one in members]
    return "\n\n".join(sections) + "\n"


def _overview(faults: Sequence[Facts]) -> str:
    rows = [(f"[`{one.name}`](#{one.name})", one.what.rstrip("."), one.must, one.quiet) for one in faults]
    return table(("fault", "what goes wrong", "must", "quiet"), rows)


def _section(one: Facts) -> str:
    facts = [
        f"It happens {one.when}.", f"It needs {one.needs}.", *one.notes, f"Must catch it: {one.must}.", f"Must stay quiet: {one.quiet}.",
        *([f"Blind spot: {one.blind}"] if one.blind else []),
    ]  # fmt: skip
    examples = "\n".join(f"- {example.yaml}\n  # {example.does}" for example in one.examples)
    parts = [
        f"### {one.name}",
        f"{one.what[:1].upper()}{one.what[1:]}",
        *one.real_life,
        *one.does,
        "\n".join(f"- {fact}" for fact in facts),
        *([_parameters(one.parameters)] if one.parameters else []),
        f"```yaml\nfaults:\n{examples}\n```",
    ]
    return "\n\n".join(parts)


def _parameters(parameters: Iterable[Parameter]) -> str:
    rows = [(f"`{one.name}`", one.needed, one.form, one.says) for one in parameters]
    return table(("parameter", "", "value", "what it says"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")

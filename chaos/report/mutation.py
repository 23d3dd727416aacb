"""What became of the rules' mutants, in a terminal. No I/O."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chaos.rehearsal.mutants import MutationReport
from chaos.visible import visible


def mutation_view(found: MutationReport) -> Group:
    """The share of mutants that are noticed, and a line for each that is not, with what would notice it."""
    noticed = len(found.mutants) - len(found.survivors)
    tone = "green" if found.mutants and not found.survivors else "yellow"
    head = (
        f"{found.score:.0%} of the rules' mutants are noticed: {noticed} of {len(found.mutants)}"
        f" (exact 95 % interval: {found.interval[0]:.0%} to {found.interval[1]:.0%})"
        if found.score is not None and found.interval is not None
        else "no rule could be mutated"
    )
    named = ", ".join(found.experiments)
    parts: list[RenderableType] = [
        Text(),
        Text(head, style=f"bold {tone}"),
        Text(visible(f"by {named}; {found.scenarios} scenarios each"), style="dim", overflow="fold"),
    ]
    if found.survivors:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for name in ("survives", "told", "what would notice it"):
            table.add_column(name, overflow="fold")
        alert = ""
        for one in found.survivors:
            if one.alert != alert:
                table.add_row(Text(visible(one.alert), style="bold"), "", "")
                alert = one.alert
            table.add_row(Text(visible(f"  {one.change}")), f"{one.told:.0%}", Text(visible(one.advice)))
        parts += [Text(), table]
    for left in found.left_out:
        parts.append(Text(visible(f"· left out: {left}"), style="dim", overflow="fold"))
    for name, why in found.untold.items():
        parts.append(Text(visible(f"· {name} is left out: {why}"), style="dim", overflow="fold"))
    parts.append(
        Text(
            "· a condition that is dropped is played over the series that were kept; others may match it, too",
            style="dim",
            overflow="fold",
        )
    )
    return Group(*parts)

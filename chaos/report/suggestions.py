"""Suggested rules in a terminal. Renderables for rich; no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chaos.rehearsal.suggestion import Suggestion
from chaos.units import format_duration
from chaos.visible import visible


def suggestions_view(found: Sequence[Suggestion]) -> Group:
    """Each suggestion with what it rests on, or why there is none."""
    parts: list[RenderableType] = [Text("\nRules that are missing", style="bold")]
    for one in found:
        if one.rule is None:
            parts.append(
                Text(visible(f"  {one.fault}: no rule is suggested: {one.why_not}"), style="yellow", overflow="fold")
            )
            continue
        caught = one.caught
        after = f", after {caught.median_s:.0f}s" if caught is not None and caught.median_s is not None else ""
        told = f"told in {caught.caught} of {caught.scenarios} rehearsals{after}" if caught is not None else ""
        parts.append(
            Text.assemble(
                (visible(f"  {one.fault}: "), ""), (visible(one.rule.name), "bold green"),
                visible(f" {told}; quiet in all {one.quiet_scenarios} without the fault"), overflow="fold",
            )
        )  # fmt: skip
        parts.append(
            Padding(
                Text(visible(f"{one.rule.expr}, for {format_duration(one.rule.for_s)}"), overflow="fold"), (0, 0, 0, 4)
            )
        )
    return Group(*parts)

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
    """For each fault that nobody was told of the rule that would have told, with what it rests on, or why none could be found."""
    none = "" if any(one.rule is not None for one in found) else ": none could be found"
    parts: list[RenderableType] = [Text(f"\nRules that are missing{none}", style="bold")]
    for one in found:
        if one.rule is None:
            parts.append(
                Text(visible(f"  {one.fault}: no rule was found: {one.why_not}"), style="yellow", overflow="fold")
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
                Text(
                    visible(one.rule.expr + (f", for {format_duration(one.rule.for_s)}" if one.rule.for_s else "")),
                    overflow="fold",
                ),
                (0, 0, 0, 4),
            )
        )
    return Group(*parts)


def file_sentence(found: Sequence[Suggestion], path: str, *, stands: bool, tried: bool) -> str:
    """What became of the file that was asked for: which rules it has, or that it was not written, and why.

    `stands`: a file of that name was there before. `tried`: some fault that broke the system has been run.
    """
    made = [one for one in found if one.rule is not None]
    missed = ", ".join(one.fault for one in found if one.rule is None)
    if made:
        rules = f"{len(made)} rule{'s' if len(made) > 1 else ''}, for {', '.join(one.fault for one in made)},"
        less = f"; for {missed} none was found" if missed else ""
        return f"{path} has {rules} to be read before somebody loads it{less}"
    older = f"; what stands in {path} is older" if stands else ""
    if found:
        how = "run the experiment again with a longer `baseline:` and more traffic, so that there is more to learn from"
        return f"{path} is not written: no rule was found for {missed}, and why is said with each; {how}{older}"
    why = (
        "every fault that broke the system told somebody in time, so no rule is missing"
        if tried
        else "no run in which a fault broke the system is there to learn from"
    )
    return f"{path} is not written: {why}{older}"

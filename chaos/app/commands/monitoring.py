"""What monitoring would notice, without any run: coverage and rehearsal. Imports stay inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from chaos.app.commands.options import (
    STATE,
    FileArgument,
    JsonOption,
    RunsOption,
    SystemOption,
    VarOption,
    console,
    variables_of,
)
from chaos.app.door import say

if TYPE_CHECKING:
    pass


def coverage(
    runs: RunsOption = Path("runs"),
    system: SystemOption = None,
    var: VarOption = None,
    prometheus: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--prometheus", metavar="URL", help="before any run: sort the rules of this Prometheus; only reads"
        ),
    ] = None,
    alertmanager: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--alertmanager", metavar="URL", help="with --prometheus: also say which alerts reach nobody"),
    ] = None,
    over: Annotated[str, typer.Option("--over", help="how far to look back at the rules, such as 7d")] = "7d",
    html: Annotated[Optional[Path], typer.Option("--html", metavar="FILE", help="the matrix as one page")] = None,  # noqa: UP045
    suggest: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--suggest",
            metavar="FILE",
            help="write rules for the faults that nobody was told of, rehearsed and never applied; no file where none is found",
        ),
    ] = None,
    fail_under: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--fail-under", metavar="PERCENT", help="exit 1 when the score is below, such as 80%"),
    ] = None,
    max_age: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--max-age", metavar="TIME", help="older runs count as none, such as 30d"),
    ] = None,
    mutate_rules: Annotated[
        bool,
        typer.Option(
            "--mutate-rules", help="would the experiments notice worse rules? Played over the runs' telemetry"
        ),
    ] = False,
    scenarios: Annotated[int, typer.Option("--scenarios", min=1, max=2000, help="with --mutate-rules")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Says which faults nobody would be told of. Changes nothing of the system.

    It looks at every fault that was run, and at every alert. --suggest and --mutate-rules play scenarios in a Prometheus of their own,
    which is unpacked into ./.chaos/tools unless one is on PATH.
    """
    from chaos.app import mutating, rule_survey
    from chaos.app.coverage_command import Wish, command

    if mutate_rules:
        if any(one is not None for one in (suggest, html, max_age, prometheus, alertmanager)):
            raise typer.BadParameter(
                "leave --prometheus, --alertmanager, --html, --suggest and --max-age out", param_hint="--mutate-rules"
            )
        mutating.command(
            runs, system, variables_of(var), fail_under, scenarios, say, as_json=as_json, console=console()
        )
        return
    if prometheus is not None:
        if any(one is not None for one in (suggest, fail_under, html, max_age, system)):
            raise typer.BadParameter(
                "rules alone prove nothing of faults; leave --system, --html, --suggest, --fail-under and --max-age out",
                param_hint="--prometheus",
            )
        _show_survey(rule_survey.look(prometheus, alertmanager, over), as_json=as_json)
        return
    if alertmanager is not None:
        raise typer.BadParameter("it says whom rules reach; write --prometheus, too", param_hint="--alertmanager")
    if not runs.is_dir():
        say(f"there is no folder {runs}, so no run is known; --runs names the folder where they are")
    wish = Wish(runs, system, variables_of(var), over, html, suggest, fail_under, max_age)
    command(wish, STATE, say, console(), as_json=as_json)


def _show_survey(found: Any, *, as_json: bool) -> None:
    from chaos.app import rule_survey

    if as_json:
        print(rule_survey.to_json(found))
    else:
        console().print(rule_survey.view(found))


def rehearse_(
    file: FileArgument,
    system: SystemOption = None,
    var: VarOption = None,
    runs: RunsOption = Path("runs"),
    run: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--run",
            help="the run folder whose measured effect is taken; the newest one of the experiment when left out",
        ),
    ] = None,
    model: Annotated[bool, typer.Option("--model", help="take a stated model of the fault, and no run")] = False,
    over: Annotated[str, typer.Option("--over", help="with a model: how much of the past is the baseline")] = "1h",
    rules: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--rules", help="a file of Prometheus' rules, instead of those that are loaded"),
    ] = None,
    projected: Annotated[
        bool,
        typer.Option(
            "--projected", help="what a run's treatment arm showed on a small share, projected to all traffic"
        ),
    ] = False,
    scenarios: Annotated[int, typer.Option("--scenarios", min=1, max=2000, help="for each severity")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="repeat what chance decided")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Says what would fire, and when, in virtual time. Hurts nothing.

    From which severity on, too. Prometheus' own engine evaluates the rules; it is unpacked into ./.chaos/tools unless one is on PATH.
    """
    from chaos.app import files as reading
    from chaos.app.rehearsal_command import Asked, command, system_for
    from chaos.report.rehearsal import rehearsal_view
    from chaos.units import parse_duration

    try:
        over_s = parse_duration(over)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--over") from error
    asked, given = Asked(runs, run, model, over_s, rules, scenarios, seed=seed), variables_of(var)
    found = system_for(file, system, given, asked, STATE, say)
    loaded = reading.load(file, system=found, variables=given, state=STATE)
    made = command(loaded, asked, STATE, say, projected=projected)
    if as_json:
        print(made.to_json())
    else:
        console().print(rehearsal_view(made))
    raise typer.Exit(made.exit_code)


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(coverage)
    app.command("rehearse")(rehearse_)

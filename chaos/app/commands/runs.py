"""Runs: begun, ended, undone and judged again. Imports stay inside the commands."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from chaos.app.commands.options import (
    STATE,
    Files,
    FolderArgument,
    FreezeOption,
    JsonOption,
    RunArgument,
    RunsOption,
    SeedOption,
    SystemOption,
    VarOption,
    console,
    variables_of,
)
from chaos.app.door import say, say_folded, tell_refusal
from chaos.errors import InvalidFile, NotUndone, Refused
from chaos.visible import visible

if TYPE_CHECKING:
    from chaos.app.files import Loaded
    from chaos.app.running import RunOptions
    from chaos.verdict import VerdictName


class _WithCommand(TyperCommand):
    """`chaos run FILE -- COMMAND…`: the words after `--` are no files."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments before `--` are parsed; those after it wait in the context."""
        if "--" in args:
            place = args.index("--")
            args, ctx.meta[_COMMAND] = args[:place], args[place + 1 :]
        return super().parse_args(ctx, args)


_COMMAND = "chaos.command"


def _command_of(context: typer.Context, files: list[Path]) -> list[str]:
    """The command of an external fault. Refused where nobody could say which experiment it is meant for."""
    command: list[str] | None = context.meta.get(_COMMAND)
    if command is None:
        return []
    if not command:
        raise typer.BadParameter("no command stands after it; write `chaos run FILE -- COMMAND…`", param_hint="--")
    if len(files) > 1:
        raise typer.BadParameter(
            f"{len(files)} files and one command; run them one after the other, each with its own", param_hint="--"
        )
    return command


def run(
    context: typer.Context,
    files: Files,
    system: SystemOption = None,
    var: VarOption = None,
    seed: SeedOption = None,
    runs: Annotated[Path, typer.Option("--runs", help="where run folders go")] = Path("runs"),
    as_json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="run against production")] = False,
    ignore_freeze: FreezeOption = None,
    metrics_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--metrics-file", metavar="FILE.prom", help="says at every moment which faults are on, as metrics"
        ),
    ] = None,
) -> None:
    """Runs experiments, undoes everything, judges. All files are read first; the exit code is the worst verdict's.

    `chaos run FILE -- COMMAND…`: the command begins the experiment's external fault, and ends with it.
    """
    from chaos.app import files as reading
    from chaos.app.running import RunOptions
    from chaos.verdict import EXIT_CODE

    command = _command_of(context, files)
    loaded, problems = [], []
    for path in files:
        try:
            loaded.append(reading.load(path, system=system, variables=variables_of(var), state=STATE))
        except InvalidFile as error:
            problems += error.problems
    if problems:
        raise InvalidFile(problems)
    options = RunOptions(
        runs, production=yes, ignore_freeze=ignore_freeze, command=command, metrics_file=metrics_file, signals=True
    )
    order = list(EXIT_CODE)
    worst: VerdictName = "confirmed"
    name: VerdictName
    for one in loaded:
        try:
            _say_ignored(one, ignore_freeze)
            if one.experiment.sweep is not None:
                if command:
                    raise typer.BadParameter(
                        "it begins one fault, and a sweep makes several runs; leave `sweep:` out", param_hint="--"
                    )
                code = _sweep_one(one, seed, options, as_json=as_json)
                if code in (EXIT_CODE["unsafe"], EXIT_CODE["interrupted"]):
                    raise typer.Exit(code)
                name = _OF_A_SWEEP.get(code, "invalid")
            else:
                name = _run_one(one, seed, options, as_json=as_json)
        except Refused as error:
            tell_refusal(error)
            name = "invalid"
        worst = min(worst, name, key=order.index)
        if name in ("unsafe", "interrupted"):
            break
    raise typer.Exit(EXIT_CODE[worst])


def _say_ignored(loaded: Loaded, ignore_freeze: str | None) -> None:
    """Before the system is asked anything. Raises Frozen."""
    from chaos.app.freezing import frozen_now, utc_now

    if (said := frozen_now(loaded, utc_now(), ignore_freeze)) is not None:
        say_folded(f"! {said}")


_OF_A_SWEEP: dict[int, VerdictName] = {0: "confirmed", 1: "undetected", 4: "aborted"}
"""How a sweep's exit code counts among several experiments."""


def _sweep_one(loaded: Loaded, seed: str | None, options: RunOptions, *, as_json: bool) -> int:
    """A run for each severity; the exit code: 0 when every alert tells at some severity, 1 when not, 3 when nothing was proven."""
    from chaos.app import running, sweeping
    from chaos.app.live import Lines
    from chaos.drivers.throwaway import Programs
    from chaos.errors import MissingTool
    from chaos.lab import monitoring
    from chaos.report.sensitivity import page, sensitivity_view
    from chaos.sensitivity import ending

    errors = console(stderr=True)

    def one(at: Loaded) -> running.Ended:
        prepared = running.prepare(at, seed)
        for warning in prepared.plan.warnings:
            say_folded(f"! {warning}")
        with Lines(errors) as view:
            return running.run(prepared, options, view)

    try:
        tools = monitoring.find(STATE, say)
        programs = Programs(tools.prometheus, tools.promtool)
    except MissingTool:
        programs = None
    done = sweeping.sweep(loaded, one, programs, say)
    found = sweeping.swept_of(loaded)
    options.runs.mkdir(parents=True, exist_ok=True)
    path = options.runs / f"sweep-{loaded.experiment.name}"
    path.with_suffix(".json").write_text(done.found.to_json() + "\n")
    within_s = {alert.alert: alert.within for alert in loaded.experiment.expect.alerts}
    path.with_suffix(".html").write_text(page(done.found, found, within_s), encoding="utf-8")
    if as_json:
        print(done.found.to_json())
    else:
        console().print(sensitivity_view(done.found, found))
    say(f"the sweep is in {path}.html and {path}.json")
    return done.worst or {"caught": 0, "not caught": 1, "nothing proven": 3}[ending(done.found)]


def _run_one(loaded: Loaded, seed: str | None, options: RunOptions, *, as_json: bool) -> VerdictName:
    from rich.text import Text

    from chaos.app import running
    from chaos.app.live import Lines, Panel
    from chaos.app.widths import fold

    errors = console(stderr=True)
    errors.print(Text(visible(f"{loaded.experiment.name}: asking the system {loaded.system.name}, planning")))
    prepared = running.prepare(loaded, seed)
    for warning in prepared.plan.warnings:
        errors.print(Text(fold(f"! {visible(warning)}", sys.stderr), style="yellow"), soft_wrap=True)
    view = Panel(errors) if errors.is_terminal else Lines(errors)
    with view:
        ended = running.run(prepared, options, view)
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more; the verdict stands in the folder
        if as_json:
            print(ended.verdict.to_json())
        else:
            from chaos.report.terminal import summary

            console().print(summary(ended.verdict, ended.plan, str(ended.folder)))
    return ended.verdict.verdict


def stop(
    run: RunArgument = None,
    everything: Annotated[
        bool, typer.Option("--all", help="every run of yours on this machine, and no new ones until `chaos resume`")
    ] = False,
) -> None:
    """Ends a run now, and undoes everything at once. The run says what it saw until then."""
    from chaos.app import stopping

    if everything and run is not None:
        raise typer.BadParameter("name a run, or write --all")
    stopping.command(run, say, everything=everything)


def resume() -> None:
    """Runs may begin again after `chaos stop --all`."""
    from chaos.drivers.state import State

    state = State.of_user()
    by = state.blocked()
    state.unblock()
    say("runs may begin" + (f"; {by} had stopped them" if by else "; nobody had stopped them"))


def recover() -> None:
    """Undoes whatever dead runs have left. Safe at any time: runs that go on are let alone."""
    from chaos.app import stopping
    from chaos.drivers.state import State

    lost = stopping.recover_all(State.of_user(), say)
    if lost:
        raise NotUndone(
            "; ".join(f"{one.entry.effect}: {one.error}" for one in lost), "; ".join(one.entry.by_hand for one in lost)
        )
    say("nothing is left")


def judge(folder: FolderArgument, runs: RunsOption = Path("runs"), as_json: JsonOption = False) -> None:
    """Judges an old run anew, from its journal alone. Writes its reports again."""
    from chaos.app.reports import report
    from chaos.app.run_folders import run_folder
    from chaos.judging.trace import trace
    from chaos.report.terminal import summary

    found = run_folder(folder, runs)
    verdict = report(found)
    if as_json:
        print(verdict.to_json())
    else:
        console().print(summary(verdict, trace(found.lines()).plan, str(found.path)))
    raise typer.Exit(verdict.exit_code)


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command(cls=_WithCommand)(run)
    app.command()(stop)
    app.command()(resume)
    app.command()(recover)
    app.command()(judge)

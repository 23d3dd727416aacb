"""The command line: thin on top of the Python API. Results go to stdout, everything else to stderr.

Imports stay inside the commands, so that `chaos check` answers before a heavy library could have been loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from chaos.app.door import say, tell_refusal, through
from chaos.app.log_lines import shown
from chaos.errors import InvalidFile, NotUndone, Refused
from chaos.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from chaos.app.files import Loaded
    from chaos.verdict import VerdictName

app = typer.Typer(
    name="chaos",
    help="Make a model worse on purpose, and prove whether anyone would notice.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lab_app = typer.Typer(
    help="The reference system: a real loan model with a real Prometheus and Alertmanager.", no_args_is_help=True
)
app.add_typer(lab_app, name="lab")

STATE = Path(".chaos")

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="experiment files")]
SystemOption = Annotated[
    str | None, typer.Option("--system", help="a system file, or a lab that is up; overrides the file's own")
]
VarOption = Annotated[Optional[list[str]], typer.Option("--var", metavar="NAME=VALUE", help="a value for ${NAME}")]  # noqa: UP045
SeedOption = Annotated[Optional[str], typer.Option("--seed", help="repeat a run's choices: arms, rows, containers")]  # noqa: UP045
RunArgument = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(help="a run's id, or its beginning; the only one when left out"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="for machines")]


def _variables(given: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is no variable; write NAME=VALUE", param_hint="--var")
        found[name] = value
    return found


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    class Steady(Console):
        """A reader that has gone silences this stream and nothing else; Rich's own answer closes stdout and exits 1."""

        def on_broken_pipe(self) -> None:
            self.quiet = True

    return Steady(stderr=stderr, highlight=False, soft_wrap=False)


@app.command()
def check(
    files: Files,
    system: SystemOption = None,
    var: VarOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="also ask Prometheus and Alertmanager whether the expected alerts can fire")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --live: for machines")] = False,
) -> None:
    """Reads the files and says everything that is wrong with them."""
    from chaos.app import files as reading

    variables = _variables(var)
    if as_json and not live:
        raise typer.BadParameter("it says how the rules are; write --live, too", param_hint="--json")
    if live:
        from chaos.app.live_check import command

        command(files, system, variables, STATE, say, as_json=as_json)
        return
    problems = []
    for path in files:
        try:
            if system is None and not _system_there(path, variables):
                experiment = reading.check_alone(path, variables)
                print(
                    visible(
                        f"{path}: {experiment.name}: the file is right; its system `{experiment.system}` is not there to check against"
                    )
                )
            else:
                loaded = reading.load(path, system=system, variables=variables, state=STATE)
                print(
                    visible(
                        f"{path}: {loaded.experiment.name}: the file is right, and fits the system {loaded.system.name}"
                    )
                )
        except InvalidFile as error:
            problems += error.problems
    if problems:
        raise InvalidFile(problems)


def _system_there(path: Path, variables: dict[str, str]) -> bool:
    from chaos.app import files as reading

    experiment = reading.check_alone(path, variables)
    try:
        reading.system_path(experiment.system, path, STATE)
    except InvalidFile:
        return False
    return True


@app.command()
def coverage(
    runs: Annotated[Path, typer.Option("--runs", help="where run folders are")] = Path("runs"),
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
            "--suggest", metavar="FILE", help="rules for the faults that nobody was told of, rehearsed; never applied"
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
    as_json: JsonOption = False,
) -> None:
    """Says which faults nobody would be told of: every fault that was run, and every alert. Only reads."""
    from chaos.app import rule_survey
    from chaos.app.coverage_command import Wish, command

    if prometheus is not None:
        if suggest is not None or fail_under is not None or html is not None:
            raise typer.BadParameter(
                "rules alone prove nothing of faults; leave --html, --suggest and --fail-under out",
                param_hint="--prometheus",
            )
        _show_survey(rule_survey.look(prometheus, alertmanager, over), as_json=as_json)
        return
    if alertmanager is not None:
        raise typer.BadParameter("it says whom rules reach; write --prometheus, too", param_hint="--alertmanager")
    wish = Wish(runs, system, _variables(var), over, html, suggest, fail_under, max_age)
    command(wish, STATE, say, _console(), as_json=as_json)


def _show_survey(found: Any, *, as_json: bool) -> None:
    from chaos.app import rule_survey

    if as_json:
        print(rule_survey.to_json(found))
    else:
        _console().print(rule_survey.view(found))


@app.command()
def plan(
    file: Path, system: SystemOption = None, var: VarOption = None, seed: SeedOption = None, as_json: JsonOption = False
) -> None:
    """Says exactly what would happen, to whom, and who is told; touches nothing."""
    from chaos.app import files as reading
    from chaos.app.running import prepare

    prepared = prepare(reading.load(file, system=system, variables=_variables(var), state=STATE), seed)
    if as_json:
        print(prepared.plan.to_json())
    else:
        from chaos.report.terminal import plan_view

        _console().print(plan_view(prepared.plan))
    if prepared.plan.refusals:
        raise typer.Exit(Refused.exit_code)


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


@app.command(cls=_WithCommand)
def run(
    context: typer.Context,
    files: Files,
    system: SystemOption = None,
    var: VarOption = None,
    seed: SeedOption = None,
    runs: Annotated[Path, typer.Option("--runs", help="where run folders go")] = Path("runs"),
    as_json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="run against production")] = False,
) -> None:
    """Runs experiments, undoes everything, judges. All files are read first; the exit code is the worst verdict's.

    `chaos run FILE -- COMMAND…`: the command begins the experiment's external fault, and ends with it.
    """
    from chaos.app import files as reading
    from chaos.verdict import EXIT_CODE

    command = _command_of(context, files)
    loaded, problems = [], []
    for path in files:
        try:
            loaded.append(reading.load(path, system=system, variables=_variables(var), state=STATE))
        except InvalidFile as error:
            problems += error.problems
    if problems:
        raise InvalidFile(problems)
    order = list(EXIT_CODE)
    worst: VerdictName = "confirmed"
    name: VerdictName
    for one in loaded:
        try:
            if one.experiment.sweep is not None:
                code = _sweep_one(one, seed, runs, as_json=as_json, yes=yes)
                if code in (EXIT_CODE["unsafe"], EXIT_CODE["interrupted"]):
                    raise typer.Exit(code)
                name = _OF_A_SWEEP.get(code, "invalid")
            else:
                name = _run_one(one, seed, runs, as_json=as_json, yes=yes, command=command)
        except Refused as error:
            tell_refusal(error)
            name = "invalid"
        worst = min(worst, name, key=order.index)
        if name in ("unsafe", "interrupted"):
            break
    raise typer.Exit(EXIT_CODE[worst])


_OF_A_SWEEP: dict[int, VerdictName] = {0: "confirmed", 1: "undetected", 4: "aborted"}
"""How a sweep's exit code counts among several experiments."""


def _sweep_one(loaded: Loaded, seed: str | None, runs: Path, *, as_json: bool, yes: bool) -> int:
    """A run for each severity; the exit code: 0 when every alert tells at some severity, 1 when not, 3 when nothing was proven."""
    from chaos.app import running, sweeping
    from chaos.app.live import Lines
    from chaos.drivers.throwaway import Programs
    from chaos.errors import MissingTool
    from chaos.lab import monitoring
    from chaos.report.sensitivity import page, sensitivity_view
    from chaos.sensitivity import ending

    console = _console(stderr=True)

    def one(at: Loaded) -> running.Ended:
        prepared = running.prepare(at, seed)
        with Lines(console) as view:
            return running.run(prepared, runs, view, signals=True, production=yes)

    try:
        tools = monitoring.find(STATE, say)
        programs = Programs(tools.prometheus, tools.promtool)
    except MissingTool:
        programs = None
    done = sweeping.sweep(loaded, one, programs, say)
    found = sweeping.swept_of(loaded)
    path = runs / f"sweep-{loaded.experiment.name}"
    path.with_suffix(".json").write_text(done.found.to_json() + "\n")
    within_s = {alert.alert: alert.within for alert in loaded.experiment.expect.alerts}
    path.with_suffix(".html").write_text(page(done.found, found, within_s), encoding="utf-8")
    if as_json:
        print(done.found.to_json())
    else:
        _console().print(sensitivity_view(done.found, found))
    say(f"the sweep is in {path}.html and {path}.json")
    return done.worst or {"caught": 0, "not caught": 1, "nothing proven": 3}[ending(done.found)]


def _run_one(
    loaded: Loaded, seed: str | None, runs: Path, *, as_json: bool, yes: bool, command: list[str]
) -> VerdictName:
    from rich.text import Text

    from chaos.app import running
    from chaos.app.live import Lines, Panel

    console = _console(stderr=True)
    console.print(Text(visible(f"{loaded.experiment.name}: asking the system {loaded.system.name}, planning")))
    prepared = running.prepare(loaded, seed)
    for warning in prepared.plan.warnings:
        console.print(Text(f"! {visible(warning)}", style="yellow"), soft_wrap=True)
    view = Panel(console) if console.is_terminal else Lines(console)
    with view:
        ended = running.run(prepared, runs, view, signals=True, production=yes, command=command)
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more; the verdict stands in the folder
        if as_json:
            print(ended.verdict.to_json())
        else:
            from chaos.report.terminal import summary

            _console().print(summary(ended.verdict, ended.plan, str(ended.folder)))
    return ended.verdict.verdict


@app.command()
def stop(
    run: RunArgument = None,
    everything: Annotated[
        bool, typer.Option("--all", help="every run of yours on this machine, and no new ones until `chaos resume`")
    ] = False,
) -> None:
    """Ends a run now: everything is undone at once, and the run says what it saw until then."""
    from chaos.app import stopping

    if everything and run is not None:
        raise typer.BadParameter("name a run, or write --all")
    stopping.command(run, say, everything=everything)


@app.command()
def resume() -> None:
    """Runs may begin again after `chaos stop --all`."""
    from chaos.drivers.state import State

    state = State.of_user()
    by = state.blocked()
    state.unblock()
    say("runs may begin" + (f"; {by} had stopped them" if by else "; nobody had stopped them"))


@app.command()
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


@app.command("rehearse")
def rehearse_(
    file: Path,
    system: SystemOption = None,
    var: VarOption = None,
    runs: Annotated[Path, typer.Option("--runs", help="where run folders are")] = Path("runs"),
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
    """Says what would fire, when, and from which severity on: in virtual time, by Prometheus' own engine. Hurts nothing."""
    from chaos.app import files as reading
    from chaos.app.projecting import projection
    from chaos.app.rehearsal_command import Asked, rehearsal
    from chaos.app.telemetry_kept import newest_run
    from chaos.drivers.throwaway import Programs
    from chaos.lab import monitoring
    from chaos.report.rehearsal import rehearsal_view
    from chaos.units import parse_duration

    try:
        over_s = parse_duration(over)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--over") from error
    loaded = reading.load(file, system=system, variables=_variables(var), state=STATE)
    tools = monitoring.find(STATE, say)
    programs = Programs(tools.prometheus, tools.promtool)
    if projected:
        folder = run or newest_run(runs, loaded.experiment.name)
        if folder is None:
            raise Refused(
                [
                    f"no run of {loaded.experiment.name} in {runs} has kept its telemetry; run it once, or name one with --run"
                ]
            )
        made = projection(loaded, folder, programs, scenarios, say, seed)
    else:
        made = rehearsal(loaded, Asked(runs, run, model, over_s, rules, scenarios, seed=seed), programs, say)
    if as_json:
        print(made.to_json())
    else:
        _console().print(rehearsal_view(made))
    raise typer.Exit(made.exit_code)


@app.command()
def judge(folder: Path, as_json: JsonOption = False) -> None:
    """Computes an old run's verdict anew, from its journal alone."""
    from chaos.app.running import report
    from chaos.drivers.folder import RunFolder
    from chaos.judging.trace import trace
    from chaos.report.terminal import summary

    run_folder = RunFolder(folder)
    verdict = report(run_folder)
    if as_json:
        print(verdict.to_json())
    else:
        _console().print(summary(verdict, trace(run_folder.lines()).plan, str(folder)))
    raise typer.Exit(verdict.exit_code)


@app.command()
def schema(kind: Annotated[str, typer.Argument(help="experiment, system or probes")]) -> None:
    """Prints the JSON Schema of a kind of file, for editors."""
    from chaos import experiment, probe
    from chaos.system import System

    made: dict[str, Callable[[], object]] = {
        "experiment": experiment.json_schema,
        "system": System.model_json_schema,
        "probes": probe.json_schema,
    }
    if kind not in made:
        raise typer.BadParameter(f"{kind!r} is no kind of file; write one of {', '.join(made)}")
    print(json.dumps(made[kind](), indent=2))


@app.command()
def faults(name: Annotated[Optional[str], typer.Argument(help="one fault, in full")] = None) -> None:  # noqa: UP045
    """Lists the faults, or explains one."""
    from chaos.app.manual import explain_fault, list_faults

    _console().print(list_faults() if name is None else explain_fault(name))


@app.command()
def probes(name: Annotated[Optional[str], typer.Argument(help="one probe, in full")] = None) -> None:  # noqa: UP045
    """Lists the probes of the catalogue, or explains one."""
    from chaos.app.files import probe_files
    from chaos.app.manual import explain_probe, list_probes
    from chaos.probe import merge

    catalogue = merge(probe_files(Path("experiments")))
    _console().print(list_probes(catalogue) if name is None else explain_probe(name, catalogue))


@app.command()
def protocols() -> None:
    """Lists the serving protocols."""
    from chaos.app.manual import list_protocols

    _console().print(list_protocols())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def proxy(context: typer.Context) -> None:
    """The fault proxy alone; `chaos proxy --help` says more."""
    # A process of its own in place of this one: what the command line has loaded would stay with the proxy for months.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "chaos.proxy", *context.args])  # noqa: S606


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sink(context: typer.Context) -> None:
    """The notification sink alone; `chaos sink --help` says more."""
    from chaos.sink import main as sink_main

    sink_main(context.args)


# --- the lab ----------------------------------------------------------------------------------------------------------

DockerOption = Annotated[bool, typer.Option("--docker", help="as containers of a Docker engine")]
NameOption = Annotated[Optional[str], typer.Option("--name", help="its name; `lab`, or `lab-docker` with --docker")]  # noqa: UP045


def _lab(name: str | None, *, docker: bool) -> str:
    return name or ("lab-docker" if docker else "lab")


@lab_app.command("up")
def lab_up(docker: DockerOption = False, name: NameOption = None) -> None:
    """Brings the lab up and waits until it is watched."""
    from chaos.lab import places

    found = places.up(_lab(name, docker=docker), STATE, say, docker=docker)
    print(f"the lab `{found.name}` is up; its system file is {found.system}")
    for service, address in found.outside.items():
        print(f"  {service:14} http://{address}")


@lab_app.command("down")
def lab_down(docker: DockerOption = False, name: NameOption = None) -> None:
    """Takes the lab down; nothing of it is left."""
    from chaos.lab import places

    places.down(_lab(name, docker=docker), STATE, say, docker=docker)


@lab_app.command("status")
def lab_status(docker: DockerOption = False, name: NameOption = None, as_json: JsonOption = False) -> None:
    """Says how the lab is: exit 0 when every service runs, 3 when not."""
    from chaos.lab import places

    found = places.status(_lab(name, docker=docker), STATE, docker=docker)
    if as_json:
        print(
            json.dumps(
                {"name": found.name, "up": found.up, "services": dict(found.services), "places": dict(found.outside)}
            )
        )
    elif not found.services:
        print(f"the lab `{found.name}` is not up; run `chaos lab up{' --docker' if docker else ''}`")
    else:
        for service, state in found.services.items():
            print(f"{service:14} {state:10} {found.outside.get(service, '')}")
    raise typer.Exit(0 if found.up else 3)


# --- the door ---------------------------------------------------------------------------------------------------------


def main() -> None:
    """Every command, with its options; `chaos.app.door` is what the console script calls."""
    shown()
    through(app)


if __name__ == "__main__":
    main()

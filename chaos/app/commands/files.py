"""What people write: checked, planned and explained. Imports stay inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from chaos.app.commands.options import (
    STATE,
    Files,
    JsonOption,
    SeedOption,
    SystemOption,
    VarOption,
    console,
    variables_of,
)
from chaos.app.door import say
from chaos.errors import InvalidFile, Refused
from chaos.visible import visible

if TYPE_CHECKING:
    pass


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

    variables = variables_of(var)
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


def plan(
    file: Path, system: SystemOption = None, var: VarOption = None, seed: SeedOption = None, as_json: JsonOption = False
) -> None:
    """Says exactly what would happen, to whom, and who is told; touches nothing."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from chaos.app import files as reading
    from chaos.app.running import prepare

    loaded = reading.load(file, system=system, variables=variables_of(var), state=STATE)
    prepared = prepare(loaded, seed)
    made = prepared.plan
    freeze = loaded.system.calendar.frozen_at(datetime.now(UTC))
    if freeze is not None:  # a plan is made ahead, too, so it is no refusal
        said = f"{freeze.sentence(loaded.system.name)}: `chaos run` refuses until then, or wants --ignore-freeze REASON"
        made = replace(made, warnings=(*made.warnings, said))
    if as_json:
        print(made.to_json())
    else:
        from chaos.report.terminal import plan_view

        console().print(plan_view(made))
    if prepared.plan.refusals:
        raise typer.Exit(Refused.exit_code)


def schema(kind: Annotated[str, typer.Argument(help="experiment, system, probes or gameday")]) -> None:
    """Prints the JSON Schema of a kind of file, for editors."""
    from chaos import experiment, gameday, probe
    from chaos.system import System

    made: dict[str, Callable[[], object]] = {
        "experiment": experiment.json_schema,
        "system": System.model_json_schema,
        "probes": probe.json_schema,
        "gameday": gameday.json_schema,
    }
    if kind not in made:
        raise typer.BadParameter(f"{kind!r} is no kind of file; write one of {', '.join(made)}")
    print(json.dumps(made[kind](), indent=2))


def faults(name: Annotated[Optional[str], typer.Argument(help="one fault, in full")] = None) -> None:  # noqa: UP045
    """Lists the faults, or explains one."""
    from chaos.app.manual import explain_fault, list_faults

    console().print(list_faults() if name is None else explain_fault(name))


def probes(name: Annotated[Optional[str], typer.Argument(help="one probe, in full")] = None) -> None:  # noqa: UP045
    """Lists the probes of the catalogue, or explains one."""
    from chaos.app.files import probe_files
    from chaos.app.manual import explain_probe, list_probes
    from chaos.probe import merge

    catalogue = merge(probe_files(Path("experiments")))
    console().print(list_probes(catalogue) if name is None else explain_probe(name, catalogue))


def protocols() -> None:
    """Lists the serving protocols."""
    from chaos.app.manual import list_protocols

    console().print(list_protocols())


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(check)
    app.command()(plan)
    app.command()(schema)
    app.command()(faults)
    app.command()(probes)
    app.command()(protocols)

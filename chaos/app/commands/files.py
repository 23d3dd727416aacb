"""What people write: checked, planned and explained. Imports stay inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from chaos.app import completions
from chaos.app.commands.options import (
    STATE,
    FileArgument,
    Files,
    JsonOption,
    SeedOption,
    SystemOption,
    VarOption,
    console,
    given,
    variables_of,
)
from chaos.app.door import say
from chaos.errors import InvalidFile, Refused
from chaos.visible import visible

if TYPE_CHECKING:
    from chaos.app.files import Loaded


def check(
    files: Files = None,
    system: SystemOption = None,
    var: VarOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="also ask Prometheus and Alertmanager whether the expected alerts can fire")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --live: for machines")] = False,
) -> None:
    """Reads the files and says everything that is wrong with them."""
    from chaos.app import files as reading

    named, variables = given(files), variables_of(var)
    if as_json and not live:
        raise typer.BadParameter("it says how the rules are; write --live, too", param_hint="--json")
    if live:
        from chaos.app.live_check import command

        command(named, system, variables, STATE, say, as_json=as_json)
        return
    problems = []
    marked: dict[Path, None] = {}
    for path in named:
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
                _look_for_data(loaded)
                print(
                    visible(
                        f"{path}: {loaded.experiment.name}: the file is right, and fits the system {loaded.system.name}"
                    )
                )
                marked |= dict.fromkeys((loaded.system_path, path))
        except InvalidFile as error:
            try:
                other = _of_another_kind(path, variables)
            except InvalidFile as wrong:
                problems += wrong.problems
                continue
            if other is None:
                problems += error.problems
            else:
                print(visible(f"{path}: {other}"))
                marked[path] = None
    if problems:
        raise InvalidFile(problems)
    _tell_marks(list(marked))


def _of_another_kind(path: Path, variables: dict[str, str]) -> str | None:
    """What a right system or probes file is; None for an experiment. Raises InvalidFile with what is wrong with such a file."""
    from chaos.app.files import Variables, read_text
    from chaos.document import read_document
    from chaos.probe import merge
    from chaos.system import parse_system

    text = read_text(path)
    data = read_document(text, str(path), Variables(variables, path.parent)).data
    if not isinstance(data, dict) or {"faults", "steady_state", "expect"} & set(data):
        return None
    if {"telemetry", "targets"} & set(data):
        system, _ = parse_system(text, str(path), Variables(variables, path.parent))
        return f"the file is right: the system {system.name}"
    if data and all(isinstance(one, dict) and "query" in one for one in data.values()):
        return f"the file is right: {len(merge({str(path): text}))} probes"
    return None


def _look_for_data(loaded: Loaded) -> None:
    """Raises InvalidFile where the data of its load is not there, unless the system file marks it as still to be named."""
    from chaos.app.files import data_path, read_text
    from chaos.first_steps.writing import marks

    if loaded.experiment.load is None:
        return
    try:
        data_path(loaded)
    except InvalidFile:
        text = read_text(loaded.system_path)
        name = loaded.experiment.load.data.partition(":")[2]
        marked = (text.splitlines()[line - 1].split(":")[0].strip() for line, _, _ in marks(text))
        if name not in loaded.system.data or not {"data", name} & set(marked):
            raise


def _tell_marks(paths: list[Path]) -> None:
    """What somebody (such as `chaos init`) has marked in right files as still to be filled in: said, and no mistake."""
    from chaos.app.files import read_text
    from chaos.first_steps.writing import marks

    found = [(path, *mark) for path in paths for mark in marks(read_text(path))]
    for path, line, column, sentence in found:
        say(f"{path}:{line}:{column}: to fill in: {sentence}")
    if found:
        say(f"{len(found)} places are still to be filled in; take `TODO` away from each that is done")


def _system_there(path: Path, variables: dict[str, str]) -> bool:
    from chaos.app import files as reading

    experiment = reading.check_alone(path, variables)
    try:
        reading.system_path(experiment.system, path, STATE)
    except InvalidFile:
        return False
    return True


def plan(
    file: FileArgument,
    system: SystemOption = None,
    var: VarOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
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


def schema(
    kind: Annotated[
        str | None, typer.Argument(help="experiment, system, probes or gameday", autocompletion=completions.kinds)
    ] = None,
    everything: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--all", metavar="FOLDER", help="write all of them there, as KIND.schema.json"),
    ] = None,
) -> None:
    """Prints the JSON Schema of a kind of file, for editors."""
    from chaos.app.schemas import KINDS, schema_of, write_all
    from chaos.document import did_you_mean

    if (kind is None) is (everything is None):
        raise typer.BadParameter(f"write one of {', '.join(KINDS)}, or --all FOLDER", param_hint="KIND")
    if everything is not None:
        for path in write_all(everything):
            print(path)
        return
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is no kind of file; {did_you_mean(str(kind), KINDS)}", param_hint="KIND")
    print(json.dumps(schema_of(kind), indent=2))


def faults(
    name: Annotated[str | None, typer.Argument(help="one fault, in full", autocompletion=completions.faults)] = None,
) -> None:
    """Lists the faults, or explains one."""
    from chaos.app.manual import explain_fault, list_faults

    console().print(list_faults() if name is None else explain_fault(name))


def probes(
    name: Annotated[str | None, typer.Argument(help="one probe, in full", autocompletion=completions.probes)] = None,
) -> None:
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

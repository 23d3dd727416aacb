"""What people write: checked, planned and explained. Imports stay inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

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
    variables_of,
)
from chaos.app.door import say
from chaos.errors import Refused


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
    from chaos.app import checking

    variables = variables_of(var)
    if as_json and not live:
        raise typer.BadParameter("it says how the rules are; write --live, too", param_hint="--json")
    if live:
        from chaos.app.live_check import command

        command(files, system, variables, STATE, say, as_json=as_json)
        return
    checking.command(files, system, variables, STATE)


def plan(
    file: FileArgument,
    system: SystemOption = None,
    var: VarOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says what would happen, to whom, and who is told. Touches nothing."""
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


def protocols(
    name: Annotated[
        str | None, typer.Argument(help="one protocol, in full", autocompletion=completions.protocols)
    ] = None,
) -> None:
    """Lists the serving protocols, or explains one."""
    from chaos.app.manual import explain_protocol, list_protocols

    console().print(list_protocols() if name is None else explain_protocol(name))


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(check)
    app.command()(plan)
    app.command()(schema)
    app.command()(faults)
    app.command()(probes)
    app.command()(protocols)

"""The lab. Imports stay inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from chaos.app import completions
from chaos.app.commands.options import STATE, JsonOption
from chaos.app.door import say

DockerOption = Annotated[bool, typer.Option("--docker", help="as containers of a Docker engine")]
NameOption = Annotated[
    str | None,
    typer.Option("--name", help="its name; `lab`, or `lab-docker` with --docker", autocompletion=completions.labs),
]


def _lab(name: str | None, *, docker: bool) -> str:
    return name or ("lab-docker" if docker else "lab")


def lab_up(docker: DockerOption = False, name: NameOption = None) -> None:
    """Brings the lab up and waits until it is watched."""
    from chaos.lab import places

    found = places.up(_lab(name, docker=docker), STATE, say, docker=docker)
    print(f"the lab `{found.name}` is up; its system file is {found.system}")
    for service, address in found.outside.items():
        print(f"  {service:14} http://{address}")


def lab_down(docker: DockerOption = False, name: NameOption = None) -> None:
    """Takes the lab down; nothing of it is left."""
    from chaos.lab import places

    places.down(_lab(name, docker=docker), STATE, say, docker=docker)


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
        which = (" --docker" if docker else "") + (f" --name {name}" if name else "")
        print(f"the lab `{found.name}` is not up; run `chaos lab up{which}`")
    else:
        for service, state in found.services.items():
            print(f"{service:14} {state:10} {found.outside.get(service, '')}")
    raise typer.Exit(0 if found.up else 3)


RulesArgument = Annotated[Optional[Path], typer.Argument(metavar="FILE", help="a file of Prometheus' rules")]  # noqa: UP045


def lab_rules(
    file: RulesArgument = None,
    drop: Annotated[bool, typer.Option("--drop", help="take all added rules out again")] = False,
    docker: DockerOption = False,
    name: NameOption = None,
) -> None:
    """Loads rules into the lab's Prometheus, beside its own. Does the missing rule close the gap?"""
    from chaos.lab import added_rules, monitoring, places

    if (file is None) is not drop:
        raise typer.BadParameter("write a file of rules, or --drop", param_hint="FILE")
    lab = places.status(_lab(name, docker=docker), STATE, docker=docker)
    if file is None:
        dropped = added_rules.drop(lab)
        print(f"taken out of the lab `{lab.name}`: {', '.join(dropped) or 'nothing, none was added'}")
        return
    names = added_rules.add(lab, file, monitoring.find(STATE, say).promtool)
    print(f"the lab `{lab.name}` evaluates {', '.join(names) or 'no rule more: the file has none'}")


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command("up")(lab_up)
    app.command("down")(lab_down)
    app.command("status")(lab_status)
    app.command("rules")(lab_rules)

"""First steps: files out of what runs, and what is missing on this machine. Imports stay inside the commands."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from chaos.app.commands.options import STATE, WRITTEN, JsonOption, SystemOption, VarOption, console, variables_of
from chaos.app.door import say

_PAIR = re.compile(r"[^=]+=.+")


def _pairs(given: list[str] | None, option: str, example: str) -> dict[str, str]:
    for text in given or []:
        if not _PAIR.fullmatch(text):
            raise typer.BadParameter(
                f"{text!r} has no name and value; write something like {example}", param_hint=option
            )
    return dict(text.split("=", 1) for text in given or [])


def _address(url: str | None, option: str) -> str | None:
    from chaos.system import http_address

    if url is None:
        return None
    try:
        return http_address(url).rstrip("/")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def init(
    prometheus: Annotated[
        str | None, typer.Option("--prometheus", metavar="URL", help="http://127.0.0.1:9090 when left out")
    ] = None,
    alertmanager: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--alertmanager", metavar="URL", help="the one that Prometheus tells when left out"),
    ] = None,
    proxy: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--proxy",
            metavar="URL",
            help="the control address of a fault proxy before the model; looked for when left out",
        ),
    ] = None,
    monitoring_proxy: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--monitoring-proxy", metavar="URL", help="the same of one that only Prometheus or Alertmanager ask"
        ),
    ] = None,
    sink: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--sink", metavar="RECEIVER=URL", help="the `chaos sink` that hears what a receiver is told"),
    ] = None,
    docker: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--docker/--no-docker", help="look at containers' labels; where an engine answers when left out"),
    ] = None,
    entry: Annotated[Optional[str], typer.Option("--entry", metavar="URL", help="where users' requests enter")] = None,  # noqa: UP045
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="rows like users' requests, JSON lines or CSV")
    ] = None,
    match: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--match", metavar="LABEL=VALUE", help="take only the rules that carry this label"),
    ] = None,
    into: Annotated[Path, typer.Option("--into", metavar="FOLDER", help="where the files go")] = Path(WRITTEN),
    name: Annotated[str, typer.Option("--name", help="what the system is called")] = "staging",
    force: Annotated[bool, typer.Option("--force", help="replace files that are there")] = False,
    as_json: JsonOption = False,
) -> None:
    """Looks at what runs, and writes the first files.

    They are a system file, and an experiment for each alert rule. Only reads, but for its files.
    """
    from chaos.app.first_files import Asked, command
    from chaos.app.looking import Addresses

    sinks = {
        receiver: _address(url, "--sink") or ""
        for receiver, url in _pairs(sink, "--sink", "oncall=http://127.0.0.1:9099").items()
    }
    where = Addresses(
        prometheus=_address(prometheus, "--prometheus"),
        alertmanager=_address(alertmanager, "--alertmanager"),
        proxies=tuple(_address(url, "--proxy") or "" for url in proxy or ()),
        monitoring_proxies=tuple(_address(url, "--monitoring-proxy") or "" for url in monitoring_proxy or ()),
        sinks=sinks,
        docker=docker,
    )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise typer.BadParameter(
            f"{name!r} is no name; write letters, digits, dots and dashes only", param_hint="--name"
        )
    matched = _pairs(match, "--match", "service=loan") or None
    command(Asked(where, into, name, _address(entry, "--entry"), data, matched, force), console(), say, as_json=as_json)


def doctor(system: SystemOption = None, var: VarOption = None, as_json: JsonOption = False) -> None:
    """Says what is missing on this machine, and what mends it.

    Exit 0 when nothing is, 3 when something is. With --system, also whether its monitoring, proxies and sinks answer.
    """
    from chaos.app.doctor import examine, told
    from chaos.app.doctor_system import examine_system
    from chaos.app.widths import width_of

    found = examine(STATE)
    if system is not None:
        found += examine_system(system, variables_of(var), STATE)
    print(told(found, as_json=as_json, width=width_of(sys.stdout)))
    raise typer.Exit(3 if any(one.condition == "missing" for one in found) else 0)


def add(app: typer.Typer) -> None:
    """These commands are among those of `app`."""
    app.command()(init)
    app.command()(doctor)

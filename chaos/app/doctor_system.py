"""`chaos doctor --system`: whether what a system file names answers, and the command that mends it. Wiring; only reads."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from chaos.app.doctor import Finding, clock
from chaos.app.files import load_system
from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.http import ask, json_of, session, understood, without_secrets
from chaos.drivers.proxy import ProxyFleet, Silent, WrongToken
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError, Unreachable
from chaos.system import System, Target

TIMEOUT_S = 1.0
"""What takes longer to say that it is there has trouble of its own."""


def examine_system(name: str, variables: Mapping[str, str], state: Path) -> Iterator[Finding]:
    """Its monitoring with the clock, its fault proxies and its sinks. Raises InvalidFile for a file that is wrong."""
    system, path = load_system(name, variables, state)
    lab = _lab_of(system, path, state)
    yield from _prometheus(system, path)
    if system.telemetry.alertmanager is not None:
        address = system.telemetry.alertmanager
        try:
            AlertmanagerDriver(address, timeout_s=TIMEOUT_S).ready()
            yield Finding("Alertmanager", "ok", f"{without_secrets(address)} answers")
        except ChaosError as error:
            yield Finding("Alertmanager", "missing", str(error), f"mend `telemetry.alertmanager` in {path}")
    for target_name, target in system.targets.items():
        yield from _proxies(target_name, target, lab, path)
    for receiver, one in system.receivers.items():
        yield _sink(receiver, one.sink, lab, path)


def _prometheus(system: System, path: Path) -> Iterator[Finding]:
    address = system.telemetry.prometheus
    asking = session({key: value.get_secret_value() for key, value in system.telemetry.headers.items()})
    try:
        before = time.time()
        answer = ask(
            asking, "GET", f"{address}/api/v1/query", what="Prometheus", timeout_s=TIMEOUT_S, params={"query": "time()"}
        )
        with understood("Prometheus", address):
            theirs = float(json_of(answer, "Prometheus")["data"]["result"][1])
        yield Finding("Prometheus", "ok", f"{without_secrets(address)} answers")
        yield clock(theirs - (before + time.time()) / 2)
    except ChaosError as error:
        yield Finding("Prometheus", "missing", str(error), f"mend `telemetry.prometheus` in {path}")
    finally:
        asking.close()


def _proxies(name: str, target: Target, lab: str | None, path: Path) -> Iterator[Finding]:
    """Each address of the target's fault proxies: does its control API answer, and does it accept the token?"""
    if not target.proxies:
        return
    ca = str(path.parent / target.control_ca) if target.control_ca is not None else None
    fleet = ProxyFleet(target.proxies, target.token.get_secret_value(), TIMEOUT_S, ca=ca)
    for address in fleet.addresses:
        what = f"proxy of {name}"
        try:
            one = fleet.look(address)
        except WrongToken as error:
            mend = f"write what its --token-file holds as `token:` of `targets.{name}` in {path}"
            yield Finding(what, "missing", str(error), mend)
        except Silent as error:
            yield Finding(what, "missing", str(error), _begin_proxy(name, address, lab, path))
        except (ChaosError, OSError) as error:  # OSError: there is no such file of authorities
            mend = f"mend `proxies:` or `control_ca:` of `targets.{name}` in {path}"
            yield Finding(what, "missing", str(error), mend)
        else:
            held = f"; held by {', '.join(holder.run for holder in one.holders)}" if one.holders else ""
            said = f"{without_secrets(address)} answers and accepts the token, version {one.version}{held}"
            yield Finding(what, "ok", said)


def _begin_proxy(name: str, address: str, lab: str | None, path: Path) -> str:
    """How a proxy begins at an address at which nothing answers."""
    if lab is not None:
        return lab
    if not address.startswith(("http://", "http+unix://")):
        return f"begin `chaos proxy` there (`chaos proxy --help` says how), or mend `targets.{name}.proxies` in {path}"
    control = f"unix:{address.removeprefix('http+unix://')}" if address.startswith("http+unix") else _place(address)
    return f"chaos proxy --route 'NAME=LISTEN>UPSTREAM' --control {control} --token-file token"


def _sink(receiver: str, address: str, lab: str | None, path: Path) -> Finding:
    what, shown = f"sink of {receiver}", without_secrets(address)
    try:
        ask(session(), "GET", f"{address}/healthz", what="the sink", timeout_s=TIMEOUT_S)
    except Unreachable as error:
        begin = f"chaos sink --listen {_place(address)} --log notifications.jsonl"
        return Finding(what, "missing", str(error), lab or begin)
    try:
        SinkClient(address, TIMEOUT_S).ready()
    except ChaosError as error:
        return Finding(what, "missing", f"{error}", f"mend `receivers.{receiver}.sink` in {path}")
    return Finding(what, "ok", f"{shown} answers")


def _lab_of(system: System, path: Path, state: Path) -> str | None:
    """How a lab that has lost a part of itself is brought up anew, where the system is a lab's: its name is its folder's."""
    if path.resolve().parent.parent != (state / "labs").resolve():
        return None
    docker = " --docker" if any(target.docker is not None for target in system.targets.values()) else ""
    which = f"{docker} --name {shlex.quote(path.resolve().parent.name)}"
    return f"chaos lab down{which}; chaos lab up{which}"


def _place(address: str) -> str:
    """`HOST:PORT`, without whoever logs in."""
    return urlsplit(address).netloc.rpartition("@")[2]

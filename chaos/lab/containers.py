"""The lab in Docker: up, down, status. Every service is a real container; found again by its labels alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from chaos.drivers.http import without_secrets
from chaos.errors import Unreachable
from chaos.lab import compose, topology
from chaos.lab.processes import (
    LabStatus,
    Report,
    folder_of,
    needs_extra,
    of_processes,
    trained,
    wait_healthy,
    wait_watched,
    write_files,
    write_systems,
)

MARK = "containers"
"""A file of this name in a lab's folder says that the lab runs in Docker."""
CALL_S = 60
"""How long a call of the engine may take."""


@contextmanager
def _engine() -> Iterator[Any]:
    """A connection to the engine. Whatever goes wrong with it, from here or in the block, is Unreachable."""
    import docker
    import docker.errors
    import requests
    import urllib3.exceptions

    try:
        found = docker.from_env(timeout=CALL_S)
        found.ping()
    except (docker.errors.DockerException, OSError) as error:
        said = without_secrets(str(error))
        if "Permission denied" in said:
            raise Unreachable(
                "this user may not talk to the Docker engine; `chaos doctor` says what mends it"
            ) from error
        why = "" if "No such file" in said or "Connection refused" in said else f" ({said})"
        raise Unreachable(
            f"no Docker engine answers{why}; start it, or set DOCKER_HOST (`chaos doctor` says how)"
        ) from error
    try:
        yield found
    except docker.errors.APIError as error:
        raise Unreachable(f"the Docker engine refused: {error.explanation or error}") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        message = f"the Docker engine did not answer within {CALL_S}s; is it overloaded? try again"
        raise Unreachable(message) from error
    except (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        said = without_secrets(" ".join(str(error).split()))
        raise Unreachable(f"the Docker engine went away ({said}); is it still running? try again") from error
    finally:
        found.close()


def _mine(engine: Any, name: str) -> list[Any]:
    return list(engine.containers.list(all=True, filters={"label": f"chaos.lab={name}"}, ignore_removed=True))


def status(name: str, state: Path) -> LabStatus:
    """How the lab is now, as the engine says; its folder is not needed for that."""
    folder = folder_of(name, state)
    with _engine() as engine:
        found = {one.labels["chaos.service"]: one for one in _mine(engine, name)}
        services = {service: str(found[service].status) for service in topology.SERVICES if service in found}
        return LabStatus(name, folder, services, _published(found))


def _published(found: dict[str, Any]) -> dict[str, str]:
    """Place → `host:port` on this machine, read back from the engine."""
    places: dict[str, str] = {}
    for service, one in found.items():
        bound = one.attrs.get("NetworkSettings", {}).get("Ports") or {}
        for place, port in compose.service_ports(service).items():
            hosts = bound.get(f"{port}/tcp") or []
            if hosts:
                places[place] = f"127.0.0.1:{hosts[0]['HostPort']}"
    return places


def up(name: str, state: Path, report: Report) -> LabStatus:
    """Every service of the lab runs in a container and is watched. Raises when it cannot be; then nothing of it is left."""
    needs_extra()
    before = status(name, state)
    if before.up and len(before.services) == len(topology.SERVICES) and before.system.exists():
        report(f"the lab `{name}` is already up")
        return before
    if before.services or before.folder.exists():
        report(f"the lab `{name}` is half up; taking it down first")
        down(name, state, report)
    try:
        with _engine() as engine:
            return _up(engine, name, state, report)
    except BaseException:
        down(name, state, lambda said: None)
        raise


def _up(engine: Any, name: str, state: Path, report: Report) -> LabStatus:
    from chaos.lab import images, monitoring

    folder = folder_of(name, state).resolve()
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    taken = images.ready(engine, state, report)
    for model, name_here in zip(trained(state, report), compose.MODELS, strict=True):
        shutil.copy(model, folder / name_here)
    templates = (state / "tools" / monitoring.TEMPLATES.lstrip("/")).glob("*.tmpl")
    for template in templates:  # for our own copy of Debian's Alertmanager, which looks in its working directory
        shutil.copy(template, folder)
    inside = compose.inside()
    selector = f"docker: {{labels: {{chaos.lab: {json.dumps(name)}, app: loan-model}}}}"
    nowhere = dict.fromkeys(topology.PORTS, "127.0.0.1:1")
    write_files(folder, topology.Places(inside, nowhere), compose.STATE, selector, name)
    document = compose.compose(name, taken, str(folder))
    (folder / "compose.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    report(f"starting {len(topology.SERVICES)} containers")
    _start(engine, document)
    places = _published({one.labels["chaos.service"]: one for one in _mine(engine, name)})
    said = _dead(engine, name)
    if said is not None:
        raise Unreachable(said)
    (folder / "places.json").write_text(json.dumps(places))
    write_systems(folder, places, selector, name)
    wait_healthy(places, folder, lambda: _dead(engine, name), report)
    wait_watched(places, report)
    return status(name, state)


def _start(engine: Any, document: dict[str, Any]) -> None:
    from docker.types import LogConfig

    network = document["networks"]["default"]
    engine.networks.create(network["name"], driver="bridge", labels=network["labels"])
    for service, one in document["services"].items():
        source, target, mode = one["volumes"][0].rsplit(":", 2)
        made = engine.containers.create(
            one["image"],
            command=one["command"],
            entrypoint=one["entrypoint"],
            name=one["container_name"],
            hostname=service,
            working_dir=one["working_dir"],
            environment=one["environment"],
            labels=one["labels"],
            ports={f"{port.rpartition(':')[2]}/tcp": ("127.0.0.1", None) for port in one["ports"]},
            volumes={source: {"bind": target, "mode": mode}},
            network=network["name"],
            log_config=LogConfig(type="json-file", config={"max-size": "10m"}),
            nano_cpus=int(one.get("cpus", 0) * 1e9) or None,
            mem_limit=one.get("mem_limit"),
            memswap_limit=one.get("memswap_limit"),
            tmpfs=dict(each.split(":", 1) for each in one.get("tmpfs", [])),
            restart_policy={"Name": one["restart"]} if "restart" in one else None,
        )
        engine.networks.get(network["name"]).disconnect(made)
        engine.networks.get(network["name"]).connect(made, aliases=[service])
        made.start()


def _dead(engine: Any, name: str) -> str | None:
    """The first container that is not running, with its last words; None when all run."""
    for one in _mine(engine, name):
        if one.status not in ("running", "created", "restarting"):
            said = one.logs(tail=6).decode(errors="replace").strip().splitlines()
            return f"the container {one.name} ended by itself. Its last words:\n  " + "\n  ".join(said or ["(nothing)"])
    return None


def down(name: str, state: Path, report: Report) -> None:
    """Nothing of the lab is left: no container, no network, no file. Images stay. Idempotent.

    Containers are found by their labels, whatever folder the lab was brought up from. Files of local processes that go by the
    same name are left alone.
    """
    folder = folder_of(name, state)
    with _engine() as engine:
        found = _mine(engine, name)
        if found:
            report(f"removing {len(found)} containers")
        for one in found:
            one.remove(force=True, v=True)
        for network in engine.networks.list(filters={"label": f"chaos.lab={name}"}):
            network.remove()
    if not of_processes(name, state):
        shutil.rmtree(folder, ignore_errors=True)
    report(f"the lab `{name}` is down" if found else f"the lab `{name}` was not up in Docker")

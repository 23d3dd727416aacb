"""What runs in a Docker engine, whoever it belongs to: names and labels. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.errors import Unreachable

LOOK_S = 2
"""An engine that is asked whether it is there at all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One running container."""

    name: str
    labels: Mapping[str, str]


def running(host: str | None = None) -> list[Listed]:
    """Every running container of the engine that the environment names. Raises Unreachable, which says why it cannot be asked."""
    import docker
    from docker.errors import DockerException
    from requests import RequestException

    try:
        engine = docker.DockerClient(base_url=host, timeout=LOOK_S) if host else docker.from_env(timeout=LOOK_S)
        try:
            rows = engine.api.containers()
        finally:
            engine.close()
    except (DockerException, RequestException, OSError, ValueError) as error:
        said = str(error)
        if "Permission denied" in said:
            why = "this user may not talk to it; `sudo usermod -aG docker $USER`, and log in anew"
        elif "No such file" in said or "Connection refused" in said or "FileNotFoundError" in said:
            why = "none runs here; `sudo systemctl start docker`, or name another with DOCKER_HOST"
        else:
            why = " ".join(said.split())[:200]
        raise Unreachable(f"the Docker engine cannot be asked: {why}") from error
    return [Listed(str(row["Names"][0]).lstrip("/"), dict(row.get("Labels") or {})) for row in rows if row.get("Names")]

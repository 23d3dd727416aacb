"""The lab as containers, as a Compose file's content. Pure; `chaos.lab.containers` brings it up through the docker SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.lab import assistant, topology

STATE = "/lab"
"""Where the lab's folder is mounted, read-only."""
MODELS = ("model.pickle", "old-model.pickle")
"""The loan model and the older one, in the lab's folder."""
SCRATCH = "/tmp"  # noqa: S108 - in a container, on a disk of its own
"""Where a replica may write."""
REPLICA = {
    "cpus": 0.5,
    "mem_limit": "512m",
    "memswap_limit": "512m",
    "tmpfs": [f"{SCRATCH}:size=32m"],
    "restart": "on-failure",
}
"""What a replica may use, as in production; one that dies by itself is started again."""
PORT = {
    "replica-1": 8080, "replica-2": 8080, topology.OLD_MODEL: 8080, "route-1": 9001, "route-2": 9002, "control": 8474,
    "gateway": 8000, "prometheus": 9090, "alertmanager": 9093, "sink": 9099, "scrape-proxy-route": 9001,
    "scrape-proxy-control": 8474, "webhook-proxy-route": 9001, "webhook-proxy-control": 8474,
    **assistant.CONTAINER_PORT,
}  # fmt: skip
"""What listens where inside its container."""
SERVICE = {place: place.removesuffix("-route").removesuffix("-control") for place in topology.PORTS} | dict.fromkeys(
    ("route-1", "route-2", "control"), "fault-proxy"
)
"""Place → the service that listens there."""
INTERNAL = ("route-1", "route-2", "scrape-proxy-route", "webhook-proxy-route", *assistant.INTERNAL)
PUBLISHED = tuple(place for place in topology.PORTS if place not in INTERNAL)
"""What the runner and a person with a browser reach; the proxies' routes are the lab's own alone."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of the lab: its own services, and monitoring."""

    lab: str
    prometheus: str
    alertmanager: str

    def of(self, service: str) -> str:
        """The image that a service runs from."""
        return {"prometheus": self.prometheus, "alertmanager": self.alertmanager}.get(service, self.lab)


def inside() -> dict[str, str]:
    """Place → `host:port` as the services see each other."""
    return {place: f"{SERVICE[place]}:{port}" for place, port in PORT.items()}


def service_ports(service: str) -> dict[str, int]:
    """Place → container port, of the places of one service that are published."""
    return {place: PORT[place] for place in PUBLISHED if SERVICE[place] == service}


def compose(name: str, images: Images, folder: str) -> dict[str, object]:
    """The Compose document. Neither `name:` nor `version:`, so that both generations of Compose take it."""
    return {
        "services": {service: _service(name, service, images, folder) for service in topology.SERVICES},
        "networks": {"default": {"name": network(name), "labels": {"chaos.lab": name}}},
    }


def network(name: str) -> str:
    """The lab's network."""
    return f"chaos-{name}"


def container(name: str, service: str) -> str:
    """A service's container name."""
    return f"chaos-{name}-{service}"


def _service(name: str, service: str, images: Images, folder: str) -> Mapping[str, object]:
    listen = {place: f"0.0.0.0:{port}" for place, port in PORT.items()}
    tools = {
        "python": "python", "prometheus": "prometheus", "alertmanager": "alertmanager", "data": "/tmp",  # noqa: S108
        "model": f"{STATE}/{MODELS[0]}", "old-model": f"{STATE}/{MODELS[1]}", "container": SCRATCH,
    }  # fmt: skip
    return {
        "image": images.of(service),
        "container_name": container(name, service),
        "entrypoint": [],
        "command": topology.arguments(service, inside(), listen, STATE, tools),
        "working_dir": STATE,
        "environment": {"OMP_NUM_THREADS": "1"},
        "labels": topology.labels(service, name),
        "ports": [f"127.0.0.1::{port}" for port in service_ports(service).values()],
        "volumes": [f"{folder}:{STATE}:ro"],
        "stop_grace_period": "2s",
        **(REPLICA if service in topology.REPLICAS else {}),
    }

"""Containers that are hurt, and when they were as before: by the engine's own events, and by connections to them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from chaos.lab import images

IMAGE = os.environ.get("CHAOS_BASE_IMAGE", images.LOCAL_BASE)
SLEEPS = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 600 & wait; done"]
FAULTS = {"kill": "kill", "pause": "pause", "network_partition": "partition", "hung": "slow"}
"""What is done → the container that it is done to; `hung` is a pause whose call is held."""
BACK = {"kill": "start", "pause": "unpause", "hung": "unpause"}
"""The engine's event that says that it is undone."""
SILENT_S = 0.03
"""Whoever does not answer a connection within this is cut off: on this machine it takes a tenth of a millisecond."""
PORT = 9


class Boxes:
    """The containers, each with a label of its own to be found by."""

    def __init__(self) -> None:
        self.client: Any = docker.from_env(timeout=30)
        self.token = uuid.uuid4().hex[:8]
        self._ids = {fault: self._start(name) for fault, name in FAULTS.items()}
        found = self.client.api.inspect_container(self._ids["network_partition"])
        [network] = found["NetworkSettings"]["Networks"].values()
        self._address: str = network["IPAddress"]

    def _start(self, name: str) -> str:
        labels = {"chaos.offswitch": self.label(name), "chaos.enabled": "true"}
        made = self.client.containers.run(IMAGE, SLEEPS, name=f"chaos-{self.label(name)}", labels=labels, detach=True)
        return str(made.id)

    def label(self, name: str) -> str:
        """The value of the label `chaos.offswitch` of one container."""
        return f"offswitch-{self.token}-{name}"

    def path(self, fault: str) -> str:
        """Where the engine's API has the container of this fault."""
        return f"/containers/{self._ids[fault]}"

    def cut_off(self) -> bool:
        """Whether nothing comes through to the partitioned container, and nothing back."""
        try:
            socket.create_connection((self._address, PORT), SILENT_S).close()
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return False

    def hurt(self, fault: str) -> bool:
        """Whether the container is not as it was."""
        if fault == "network_partition":
            return self.cut_off()
        state = self.client.api.inspect_container(self._ids[fault])["State"]
        return bool(state["Paused"] or not state["Running"])

    def back_at_s(self, fault: str, since_wall_s: float) -> float:
        """The wall clock when the engine last brought this container back. Raises LookupError when it has not since then."""
        filters = {"container": self._ids[fault], "event": BACK[fault]}
        rows = self.client.api.events(since=int(since_wall_s), until=int(time.time()) + 1, decode=True, filters=filters)
        found = [at for row in rows if (at := row["timeNano"] / 1e9) >= since_wall_s]
        if not found:
            raise LookupError(f"the engine has not brought the container of `{fault}` back")
        return float(max(found))

    def end(self) -> None:
        """None of them is left."""
        for one in self._ids.values():
            with contextlib.suppress(docker.errors.NotFound):
                self.client.api.remove_container(one, force=True)
        self.client.close()


@contextmanager
def boxes(state: Path) -> Iterator[Boxes]:
    """The containers, until the block ends; their image is made where the engine does not have it."""
    client: Any = docker.from_env(timeout=600)
    if not images.present(client, IMAGE):
        images.ready(client, state, print)
    client.close()
    made = Boxes()
    try:
        yield made
    finally:
        made.end()

"""A run that hurts a Docker container is killed with SIGKILL at any step: after one lease the container is as it was before.

What is compared is the engine's own inspection, the processes in the container, its control group and its network namespace, all seen
from outside. `make test` kills at a seeded sample of steps, `make kills` at every one.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import docker
import docker.errors
import pytest

from benchmarks.kills.results import Kill
from tests.containers import IMAGE
from tests.drivers.loopback import eventually
from tests.safety.kills import WHOLE, judged, told
from tests.safety.stand import LEASE_S, Stand, nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

STEPS = range(1, 8)
DELAYS_S = (0.0, 0.02, 0.2)
SAMPLE = 5
GRACE_S = 8.0
"""Beyond the lease: a stopped container takes up to two seconds to end, and an engine under load a few more for each call."""
FAULTS = {
    "kill": "",
    "stop": "",
    "pause": "",
    "restart": "",
    "cpu_limit": ", cpus: 0.2",
    "cpu_stress": ", workers: 1",
    "disk_fill": ", path: /scratch, size: 1MB",
    "network_loss": ", loss: 50%",
    "network_partition": "",
    "crash": "",
    "memory_limit": ", size: 64MB",
    "memory_stress": ", size: 16MB",
    "network_delay": ", by: 20ms",
    "network_corruption": ", damaged: 20%",
    "network_bandwidth": ", rate: 100kB/s",
}
OF_THE_KERNEL = {"network_delay", "network_corruption", "network_bandwidth"}
"""A kernel may be without what these take."""
EXPERIMENT = """\
name: dies
system: {system}
steady_state:
  - {{name: sky, promql: vector(1), unit: ratio, min: 50%}}
blast_radius: {{traffic: 50%, by: header:x-user, max_duration: 20s, lease: 1s, subjects: users}}
baseline: 300ms
faults:
  - {{fault: {name}, target: box, duration: 1500ms{more}}}
recovery: 2s
expect: {{holds: [sky]}}
"""
SYSTEM = """\
name: boxes
environment: lab
targets:
  box: {{docker: {{labels: {{chaos.kills: '{token}'}}}}}}
telemetry: {{prometheus: '{prometheus}'}}
variables: {{window: 10s}}
"""
OF_A_START = {"Pid", "StartedAt", "FinishedAt", "OOMKilled", "ExitCode"}


class Box:
    """One container that may be hurt, and a client of its own beside the driver's."""

    def __init__(self) -> None:
        self.client: Any = docker.from_env(timeout=20)
        self.token = uuid.uuid4().hex[:8]
        self.network = self.client.networks.create(f"chaos-kills-{self.token}", driver="bridge")
        self.container = self.client.containers.run(
            IMAGE,
            ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 600 & wait; done"],
            name=f"chaos-kills-{self.token}",
            labels={"chaos.kills": self.token, "chaos.enabled": "true"},
            network=self.network.name,
            tmpfs={"/scratch": "size=4m"},
            cpu_quota=100_000,
            detach=True,
        )

    def snapshot(self) -> dict[str, Any]:
        """Everything about the container that an effect could have changed."""
        seen = self.client.api.inspect_container(self.container.id)
        state = {name: value for name, value in seen["State"].items() if name not in OF_A_START}
        found = {"state": state, "host": seen["HostConfig"], "networks": sorted(seen["NetworkSettings"]["Networks"])}
        if seen["State"]["Status"] == "running":
            pid = str(seen["State"]["Pid"])
            processes = self.client.api.top(self.container.id, "-eo pid,args")["Processes"]
            found["processes"] = sorted(row[-1] for row in processes)
            rules = [["iptables", "-S"], ["ip6tables", "-S"], ["tc", "qdisc", "show"]]
            found["network"] = [_in_network(pid, rule) for rule in rules if shutil.which(rule[0])]
            found["scratch"] = self.container.exec_run(["sh", "-c", "ls -A /scratch"])[1].decode()
        return found

    def is_as(self, before: dict[str, Any]) -> bool:
        """Whether it is as it was. A container that ends while it is looked at is not."""
        try:
            return self.snapshot() == before
        except docker.errors.APIError:
            return False

    def end(self) -> None:
        """Nothing of it is left."""
        with suppress(docker.errors.NotFound):
            self.container.remove(force=True)
        self.network.remove()
        self.client.close()


def _in_network(pid: str, command: list[str]) -> str:
    said = subprocess.run(
        ["nsenter", "-t", pid, "-n", *command], capture_output=True, text=True, timeout=10, check=False
    )
    return said.stdout


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """The container, and with it the network that it is in."""
    made = Box()
    try:
        yield made
    finally:
        made.end()


def moments() -> list[tuple[str, int, float]]:
    """The faults, steps and delays at which a run is killed."""
    every = [(name, step, delay) for name in FAULTS for step in STEPS for delay in DELAYS_S]
    return every if WHOLE else random.Random(20261129).sample(every, SAMPLE)


@pytest.mark.parametrize(("name", "step", "delay_s"), moments())
def test_a_container_is_as_before_within_a_lease_after_its_run_was_killed(
    stand: Stand, box: Box, name: str, step: int, delay_s: float
) -> None:
    before = box.snapshot()
    system = stand.folder / "boxes.yaml"
    prometheus = re.search(r"prometheus: '([^']+)'", (stand.folder / "system.yaml").read_text())
    assert prometheus is not None
    system.write_text(SYSTEM.format(token=box.token, prometheus=prometheus.group(1)))
    path = stand.folder / f"box-{name}.yaml"
    path.write_text(EXPERIMENT.format(system=system, name=name, more=FAULTS[name]))
    process = stand.start(path, "--at", str(step), "--after", str(delay_s))
    said, _ = process.communicate(timeout=90)
    seen = told(said)
    if not seen.states:  # refused by the plan, which says what the kernel lacks; that nothing was done is seen below
        assert name in OF_THE_KERNEL, said
        assert re.search(r"Refused: .*the kernel (has|refuses)", said), said
    killed_s = seen.killed_s if process.returncode == -signal.SIGKILL else None
    kill = Kill("Docker", name, "run", seen.states[-1] if seen.states else "", None)
    with judged(kill, killed_s) if killed_s is not None else nullcontext():
        eventually(lambda: box.is_as(before), LEASE_S + GRACE_S, f"the container is as before ({said[-2000:]})")
        nothing_left(stand, 30.0)

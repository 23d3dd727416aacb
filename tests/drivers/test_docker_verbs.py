"""What each verb does to a real container, measured from outside of the driver, and that nothing of it is left after the undo."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import psutil
import pytest

from chaos.drivers.base import Act, Before, Container, Performed
from chaos.drivers.docker import DockerDriver
from chaos.errors import NotUndone, Unreachable
from tests.containers import IMAGE
from tests.drivers.container_contract import OPT_IN
from tests.drivers.loopback import eventually

pytestmark = pytest.mark.docker

PORT = 8000
SERVE = f"dd if=/dev/zero of=/srv/large bs=1000 count=200 2>/dev/null; cd /srv; exec python3 -m http.server {PORT}"
MB = 1000 * 1000
ITS_OWN_TIMES = {
    "State": {"Pid", "StartedAt", "FinishedAt", "OOMKilled"},
    "NetworkSettings": {"SandboxID", "SandboxKey", "EndpointID"},
}
"""What every start of a container changes: times, process numbers, and the numbers of its new network namespace. How it ended
before that is told by `OOMKilled`, as by the time: the engine keeps it until the next end.
"""


class Lab:
    """A network with containers in it, and a client of its own beside the driver's."""

    def __init__(self) -> None:
        self.client: Any = docker.from_env(timeout=20)
        self.token = uuid.uuid4().hex[:8]
        self.labels = {"chaos.verbs": self.token, OPT_IN[0]: OPT_IN[1]}
        self.network = self.client.networks.create(f"chaos-{self.token}", driver="bridge")

    def start(self, name: str = "a", **how: Any) -> str:
        """The container runs and serves files; its full name."""
        full = f"chaos-{self.token}-{name}"
        elsewhere = "network_mode" in how
        where = how if elsewhere else {**how, "network": self.network.name}
        script = "exec sleep 600" if elsewhere else SERVE
        self.client.containers.run(IMAGE, ["sh", "-c", script], name=full, labels=self.labels, detach=True, **where)
        if not elsewhere:
            eventually(lambda: fetched(self.address(full), "/"), 10, "it serves")
        return full

    def seen(self, name: str) -> dict[str, Any]:
        """The engine's own inspection."""
        found: dict[str, Any] = self.client.api.inspect_container(name)
        return found

    def address(self, name: str) -> str:
        return str(self.seen(name)["NetworkSettings"]["Networks"][self.network.name]["IPAddress"])

    def run(self, name: str, script: str) -> tuple[int, str]:
        """Exit code and output of a script inside of the container."""
        code, said = self.client.containers.get(name).exec_run(["sh", "-c", script], user="0")
        return code, said.decode()

    def used(self, name: str) -> tuple[float, int]:
        """Seconds of processor time and bytes of memory, as the engine counts."""
        said = self.client.api.stats(name, stream=False, one_shot=True)
        return said["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, said["memory_stats"]["usage"]

    def processes(self, name: str) -> list[str]:
        """The commands of every process in the container, as its host sees them."""
        return sorted(row[-1] for row in self.client.api.top(name, "-eo pid,args")["Processes"])

    def empty(self) -> None:
        """No container is left."""
        for one in self.client.containers.list(all=True, filters={"label": f"chaos.verbs={self.token}"}):
            with suppress(docker.errors.NotFound):
                one.remove(force=True)

    def end(self) -> None:
        self.empty()
        self.network.remove()
        self.client.close()


@pytest.fixture(scope="module")
def whole_lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def lab(whole_lab: Lab) -> Iterator[Lab]:
    yield whole_lab
    whole_lab.empty()


def fetched(address: str, path: str, within_s: float = 5.0) -> bytes | None:
    """What the container serves; None when it does not answer in time."""
    try:
        with urllib.request.urlopen(f"http://{address}:{PORT}{path}", timeout=within_s) as answer:
            return bytes(answer.read())
    except OSError:
        return None


def seconds_of(call: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    call()
    return time.perf_counter() - begun_s


def driver_of(lab: Lab, **how: Any) -> DockerDriver:
    return DockerDriver(lab.labels, OPT_IN, **how)


def surveyed(driver: DockerDriver) -> tuple[Container, Before]:
    """The only container, and its state as a run reads it from a disk."""
    (container,) = driver.find()
    return container, json.loads(json.dumps(driver.inspect(container)))


def lasting(seen: dict[str, Any]) -> dict[str, Any]:
    """An inspection without times and numbers of processes."""
    kept = {name: value for name, value in seen.items() if name != "RestartCount"}
    for name, gone in ITS_OWN_TIMES.items():
        kept[name] = {key: value for key, value in seen[name].items() if key not in gone}
    networks = kept["NetworkSettings"]["Networks"]
    kept["NetworkSettings"]["Networks"] = {
        name: {key: value for key, value in one.items() if key != "EndpointID"} for name, one in networks.items()
    }
    return kept


# --- every verb: nothing before, something during, nothing after -----------------------------------------------------------


def is_limited_in_time(lab: Lab, name: str, done: Performed) -> None:
    lab.client.containers.get(name).exec_run(["timeout", "1", "sh", "-c", "while :; do :; done"], detach=True)
    time.sleep(0.1)
    earlier_s = lab.used(name)[0]
    took_s = seconds_of(lambda: time.sleep(0.7))
    assert (lab.used(name)[0] - earlier_s) / took_s < 0.2, "a busy loop gets a tenth of a processor"
    eventually(lambda: not any("while" in one for one in lab.processes(name)), 5, "the test's own loop has ended")


def is_limited_in_memory(lab: Lab, name: str, done: Performed) -> None:
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert 0 <= 64 * MB - int(lab.run(name, read)[1]) < 4096
    assert "limit" in done.evidence


def is_busy(lab: Lab, name: str, done: Performed) -> None:
    earlier_s = lab.used(name)[0]
    took_s = seconds_of(lambda: time.sleep(0.5))
    assert (lab.used(name)[0] - earlier_s) / took_s > 0.2
    assert "CPUs" in done.evidence["processor time"]


def holds_memory(lab: Lab, name: str, done: Performed) -> None:
    assert lab.used(name)[1] > 40 * MB
    assert "→" in done.evidence["memory"]


def was_killed_for_its_memory(lab: Lab, name: str, done: Performed) -> None:
    state = lab.seen(name)["State"]
    assert (state["Running"], state["OOMKilled"], state["ExitCode"]) == (False, True, 137)
    assert "engine" in done.evidence["out of memory"]


def has_no_space(lab: Lab, name: str, done: Performed) -> None:
    code, said = lab.run(name, "head -c 8192 /dev/zero > /dev/shm/more; code=$?; rm -f /dev/shm/more; exit $code")
    assert code != 0
    assert "space" in said
    assert "100%" in done.evidence["disk"]


def answers_late(lab: Lab, name: str, done: Performed) -> None:
    """A round trip for the connection, and one for the answer."""
    assert seconds_of(lambda: fetched(lab.address(name), "/")) >= 2 * 0.1 * 0.9
    assert float(done.evidence["round trip"].split()[0]) >= 90


def loses_packets(lab: Lab, name: str, done: Performed) -> None:
    assert 10 <= sum(connects(lab.address(name)) for _ in range(60)) <= 55, "a quarter of the packets in each direction"
    lost, _, sent = done.evidence["packets lost"].partition(" of ")
    assert 0 < int(lost) < int(sent)


def damages_packets(lab: Lab, name: str, done: Performed) -> None:
    def wrong_checksums() -> int:
        rows = [line.split() for line in lab.run(name, "cat /proc/net/snmp")[1].splitlines() if line.startswith("Tcp:")]
        return int(dict(zip(*rows, strict=True))["InCsumErrors"])

    for _ in range(20):
        connects(lab.address(name))
    assert wrong_checksums() > 0


def sends_slowly(lab: Lab, name: str, done: Performed) -> None:
    """200 kB at 100 kB/s, of which a part may be there at once."""
    assert seconds_of(lambda: fetched(lab.address(name), "/large")) > 1.2
    assert "tbf" in done.evidence["in place"]


def is_silent(lab: Lab, name: str, done: Performed) -> None:
    with pytest.raises(TimeoutError):
        socket.create_connection((lab.address(name), PORT), timeout=0.3)
    assert done.evidence["round trip"] == "none came back"
    assert fetched_inside(lab, name), "it goes on for itself"


def refuses(lab: Lab, name: str, done: Performed) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((lab.address(name), PORT), timeout=2)
    assert fetched_inside(lab, name), "it goes on for itself"


def fetched_inside(lab: Lab, name: str) -> bool:
    script = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}/', timeout=2)"
    return lab.run(name, f'python3 -c "{script}"')[0] == 0


def connects(address: str) -> bool:
    try:
        socket.create_connection((address, PORT), timeout=0.05).close()
    except OSError:
        return False
    return True


def has_exited(lab: Lab, name: str, done: Performed) -> None:
    assert lab.seen(name)["State"]["Status"] == "exited"


def is_frozen(lab: Lab, name: str, done: Performed) -> None:
    assert lab.seen(name)["State"]["Paused"]
    assert fetched(lab.address(name), "/", 0.3) is None


def was_started_anew(lab: Lab, name: str, done: Performed) -> None:
    assert lab.seen(name)["State"]["StartedAt"] == done.evidence["started"] != done.evidence["started before"]


@dataclass(frozen=True, slots=True)
class Case:
    """An act, and what it is from outside."""

    act: Act
    shows: Callable[[Lab, str, Performed], None]

    def __str__(self) -> str:
        return f"{self.act.verb} {' '.join(str(value) for value in self.act.parameters.values())}"


CASES = [
    Case(Act("kill"), has_exited),
    Case(Act("crash"), has_exited),
    Case(Act("stop", {"grace": 0.0}), has_exited),
    Case(Act("pause"), is_frozen),
    Case(Act("restart", {"grace": 0.0}), was_started_anew),
    Case(Act("cpu_limit", {"cpus": 0.1}, 20.0), is_limited_in_time),
    Case(Act("memory_limit", {"size": 64 * MB}, 20.0), is_limited_in_memory),
    Case(Act("cpu_stress", {"workers": 1}, 20.0), is_busy),
    Case(Act("memory_stress", {"size": 40 * MB, "oom": False}, 20.0), holds_memory),
    Case(Act("memory_stress", {"size": 20 * MB, "oom": True}, 20.0), was_killed_for_its_memory),
    Case(Act("disk_fill", {"size": 100 * MB, "path": "/dev/shm"}, 20.0), has_no_space),
    Case(Act("network_delay", {"by": 0.1, "jitter": 0.0}, 20.0), answers_late),
    Case(Act("network_loss", {"loss": 0.25}, 20.0), loses_packets),
    Case(Act("network_corruption", {"damaged": 0.4}, 20.0), damages_packets),
    Case(Act("network_bandwidth", {"rate": 100_000.0}, 20.0), sends_slowly),
    Case(Act("network_partition", {"how": "drop"}, 20.0), is_silent),
    Case(Act("network_partition", {"how": "refuse"}, 20.0), refuses),
]


GROUPS = {
    "life": ("kill", "crash", "stop", "pause", "restart"),
    "limits": ("cpu_limit", "memory_limit"),
    "stress": ("cpu_stress", "memory_stress", "disk_fill"),
    "network": ("network_delay", "network_loss", "network_corruption", "network_bandwidth", "network_partition"),
}


LOOKED_AT_INSIDE = {"limits", "stress"}


@pytest.mark.parametrize("group", GROUPS)
def test_the_effect_is_measured_from_outside_and_undone_to_the_exact_state_before(
    group: str, lab: Lab, request: pytest.FixtureRequest
) -> None:
    if group in LOOKED_AT_INSIDE:
        request.getfixturevalue("inside")
    verbs = GROUPS[group]
    name = lab.start()
    driver = driver_of(lab)
    earlier, processes, files = lasting(lab.seen(name)), lab.processes(name), lab.client.containers.get(name).diff()
    namespace = network_state(lab, name)
    for case in (case for case in CASES if case.act.verb in verbs):
        container, before = surveyed(driver)
        assert driver.cannot(case.act, container) is None, case
        driver.undo(case.act, container, before)
        assert lasting(lab.seen(name)) == earlier, f"{case}: an undo of what never was does nothing"
        done = driver.apply(case.act, container, before)
        case.shows(lab, name, done)
        another = driver_of(lab)  # as another process would, that has only read what was written down
        assert another.undo(Act.from_json(case.act.to_json()), container, before).status == "running"
        eventually(lambda: fetched(lab.address(name), "/"), 10, "it serves again")
        assert seconds_of(lambda: fetched(lab.address(name), "/large")) < 1.0
        assert lasting(lab.seen(name)) == earlier, case
        eventually(lambda: lab.processes(name) == processes, 5, "no process is left beside its own")
        assert lab.client.containers.get(name).diff() == files, case
        assert network_state(lab, name) == namespace, case
        assert driver.inspect(container)["groups"] == before["groups"], case
        assert not queues_of(container.id), case
        once = lab.seen(name)
        assert another.undo(case.act, container, before).status == "running"
        assert lab.seen(name) == once, f"{case}: a second undo does nothing"


def network_state(lab: Lab, name: str) -> list[str]:
    """Queueing disciplines and firewall rules in the container's network namespace, apart from those of the engine's name server."""
    script = "tc qdisc show; iptables-save; ip6tables-save"
    argv = ["nsenter", "-t", str(lab.seen(name)["State"]["Pid"]), "-n", "sh", "-c", script]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if "chaos" in line or "qdisc" in line]


def queues_of(container_id: str) -> list[psutil.Process]:
    """The packet queues that run for a container."""
    running = [(one, " ".join(one.info["cmdline"] or [])) for one in psutil.process_iter(["cmdline"])]
    return [one for one, said in running if "packet_queue.py" in said and container_id in said]


# --- what can be changed back by the engine ------------------------------------------------------------------------------


def test_limits_that_a_container_was_created_with_are_changed_by_the_engine_and_changed_back(lab: Lab) -> None:
    for number, cpu in enumerate(({"nano_cpus": 500_000_000}, {"cpu_quota": 50_000, "cpu_period": 100_000})):
        name = lab.start(str(number), mem_limit="96m", memswap_limit="128m", network_mode="none", **cpu)
        driver = driver_of(lab)
        container, before = surveyed(driver)
        earlier = lasting(lab.seen(name))
        for act, field in ((Act("cpu_limit", {"cpus": 0.2}), None), (Act("memory_limit", {"size": 64 * MB}), "Memory")):
            assert driver.cannot(act, container) is None
            driver.apply(act, container, before)
            host = lab.seen(name)["HostConfig"]
            if field is None:
                assert host["NanoCpus"] == 200_000_000 or host["CpuQuota"] == 20_000
            else:
                assert 0 <= 64 * MB - host[field] < 4096
            driver.undo(act, container, before)
            assert lasting(lab.seen(name)) == earlier
        assert "write less" in str(driver.cannot(Act("cpu_limit", {"cpus": 0.5}), container))
        assert "write less" in str(driver.cannot(Act("memory_limit", {"size": 200 * MB}), container))
        assert "write a larger" in str(driver.cannot(Act("memory_limit", {"size": 16 * 1024}), container))
        lab.empty()


def test_without_root_on_the_host_only_limits_that_the_engine_can_take_back_are_set(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.start()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    driver = driver_of(lab)
    container, _ = surveyed(driver)
    for act in (Act("cpu_limit", {"cpus": 0.2}), Act("memory_limit", {"size": 64 * MB})):
        assert "created without such a limit" in str(driver.cannot(act, container))
    assert "root" in str(driver.cannot(Act("memory_stress", {"size": MB, "oom": True}), container))
    for act in (Act("crash"), Act("network_loss", {"loss": 0.5}), Act("network_delay", {"by": 0.1, "jitter": 0.0})):
        assert "tools: IMAGE" in str(driver.cannot(act, container))


@pytest.fixture
def tools(whole_lab: Lab) -> Iterator[str]:
    """An image with this machine's shell, iptables and tc, and what they load."""
    tag = f"chaos-test-tools:{whole_lab.token}"
    programs = ["sh", "ip", "tc", "iptables", "ip6tables", "iptables-restore", "ip6tables-restore", "sed", "grep"]
    found = [str(shutil.which(name)) for name in programs]
    libraries: set[str] = set()
    plugins = [str(path) for path in Path("/usr/lib/x86_64-linux-gnu/xtables").glob("*.so")]
    for path in (*found, *plugins):
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        libraries |= {word for word in said.split() if word.startswith("/")}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in {*libraries, *plugins}:
            tar.add(os.path.realpath(path), path)
        for path in found:
            tar.add(os.path.realpath(path), f"/usr/bin/{Path(path).name}")
        for name in ("/run/x", "/bin"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE if name == "/run/x" else tarfile.SYMTYPE
            entry.linkname, entry.mode = "usr/bin", 0o755
            tar.addfile(entry)
    repository, _, version = tag.partition(":")
    whole_lab.client.api.import_image_from_data(packed.getvalue(), repository=repository, tag=version)
    yield tag
    whole_lab.client.images.remove(tag, force=True)


def test_without_root_on_the_host_a_container_of_the_tools_image_does_the_networks_work(
    lab: Lab, tools: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = lab.start()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    driver = driver_of(lab, tools=tools)
    container, before = surveyed(driver)
    act = Act("network_partition", {"how": "refuse"}, 10.0)
    assert driver.cannot(act, container) is None
    done = driver.apply(act, container, before)
    assert "REJECT" in done.evidence["in place"]
    refuses(lab, name, done)
    driver.undo(act, container, before)
    assert fetched(lab.address(name), "/")
    assert driver.cannot(Act("crash"), container) is None
    driver.apply(Act("crash"), container, before)
    assert lab.seen(name)["State"]["ExitCode"] == 137
    left = lab.client.containers.list(all=True, filters={"label": f"chaos.tools-for={container.id}"})
    assert left == []


# --- a restart policy, deaths of other causes, changes by other people ---------------------------------------------------


def test_a_crash_is_healed_by_a_restart_policy_and_the_undo_waits_for_that(lab: Lab) -> None:
    name = lab.start(restart_policy={"Name": "always"})
    driver = driver_of(lab)
    container, before = surveyed(driver)
    done = driver.apply(Act("crash"), container, before)
    assert done.status == "running"
    assert done.evidence["restarts"] == "0 → 1"
    assert done.evidence["started"] != done.evidence["started before"]
    assert driver.undo(Act("crash"), container, before).call.startswith("nothing to do")
    assert lab.seen(name)["RestartCount"] == 1


STAYING = [case.act for case in CASES if case.act.verb not in ("kill", "crash", "stop", "pause", "restart")]


def test_one_that_died_for_another_reason_is_reported_and_not_started(lab: Lab) -> None:
    name = lab.start()
    driver = driver_of(lab)
    container, before = surveyed(driver)
    lab.client.containers.get(name).kill(signal="INT")
    lab.client.containers.get(name).wait(timeout=10)
    for act in (*STAYING, Act("kill"), Act("crash")):
        with pytest.raises(NotUndone, match="died for another reason"):
            driver.undo(act, container, before)
    assert lab.seen(name)["State"]["Status"] == "exited"


def test_a_limit_that_somebody_else_has_changed_meanwhile_is_left_and_reported(lab: Lab) -> None:
    name = lab.start(nano_cpus=500_000_000, network_mode="none")
    driver = driver_of(lab)
    container, before = surveyed(driver)
    act = Act("cpu_limit", {"cpus": 0.2})
    driver.apply(act, container, before)
    api = lab.client.api
    api.post(f"{api.base_url}/v{api.api_version}/containers/{name}/update", json={"NanoCpus": 300_000_000})
    with pytest.raises(NotUndone, match="changed by somebody else") as caught:
        driver.undo(act, container, before)
    assert "--cpus 0.5" in caught.value.by_hand
    assert lab.seen(name)["HostConfig"]["NanoCpus"] == 300_000_000
    with pytest.raises(Unreachable, match="changed since the plan"):
        driver.apply(Act("cpu_limit", {"cpus": 0.1}), container, before)


BY_HAND = [
    case for case in CASES if case.act.verb in ("cpu_limit", "cpu_stress", "disk_fill", "network_delay", "memory_limit")
]


@pytest.mark.usefixtures("inside")
def test_the_command_by_hand_really_undoes_it(lab: Lab) -> None:
    name = lab.start()
    driver = driver_of(lab)
    container, before = surveyed(driver)
    earlier, processes = lasting(lab.seen(name)), lab.processes(name)
    for case in BY_HAND:
        driver.apply(case.act, container, before)
        subprocess.run(driver.by_hand(case.act, container, before), shell=True, check=False, capture_output=True)
        eventually(lambda: lab.processes(name) == processes, 5, "no process is left")
        assert lasting(lab.seen(name)) == earlier
        assert driver.undo(case.act, container, before).call.startswith("nothing to do"), case
        assert not queues_of(container.id)


# --- what is refused before anything is done -----------------------------------------------------------------------------


def why_not(lab: Lab, act: Act, **how: Any) -> str:
    lab.start("b", **how)
    driver = driver_of(lab)
    why = driver.cannot(act, driver.find()[-1])
    with suppress(docker.errors.APIError):  # one that removes itself may be doing so already
        lab.client.containers.get(f"chaos-{lab.token}-b").remove(force=True)
    return str(why)


def test_what_would_hurt_others_or_could_not_be_undone_is_refused_with_one_sentence(lab: Lab) -> None:
    loss = Act("network_loss", {"loss": 0.5})
    assert "created with `--network none`" in why_not(lab, loss, network_mode="none")
    assert "everybody would be hurt" in why_not(lab, loss, network_mode="host")
    assert "could not be started again" in why_not(lab, Act("memory_limit", {"size": 100 * MB}), auto_remove=True)
    assert "gone for good" in why_not(lab, Act("kill"), auto_remove=True)
    assert "others need as well" in why_not(lab, Act("disk_fill", {"size": 1024**4, "path": "/tmp"}))
    assert "no folder" in why_not(lab, Act("disk_fill", {"size": MB, "path": "/nowhere"}))
    assert "another one" in why_not(lab, Act("memory_stress", {"size": MB, "oom": True}), pid_mode="host")
    assert "would take all" in why_not(lab, Act("cpu_stress", {"workers": 64}))
    assert why_not(lab, Act("cpu_stress", {"workers": 64}), nano_cpus=500_000_000) == "None"
    assert "a quarter" in why_not(lab, Act("memory_stress", {"size": 1024**4, "oom": False}))
    name = lab.start("a")
    assert "shares the network" in why_not(lab, loss, network_mode=f"container:{name}")
    lab.start("c", network_mode=f"container:{name}")
    driver = driver_of(lab)
    assert "would be hurt as well" in str(driver.cannot(loss, driver.find()[0]))

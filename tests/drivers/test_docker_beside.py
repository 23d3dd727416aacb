"""What the Docker driver does from the engine's host, by the kernel alone: with a real process in a real control group and network
namespace, and an engine that says no more than which process that is. Needs root, and no container engine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from chaos.drivers.base import Act, Before, Container, Performed
from chaos.drivers.docker import DockerDriver
from chaos.errors import NotUndone, Unreachable
from tests.drivers.container_contract import OPT_IN
from tests.drivers.loopback import Asked, Loopback, Said, eventually, serving

GROUPS = Path("/sys/fs/cgroup")
PORT = 8000
MB = 1000 * 1000


def _possible() -> bool:
    tools = all(shutil.which(name) for name in ("ip", "tc", "iptables", "nsenter", "unshare"))
    return os.geteuid() == 0 and tools and (GROUPS / "memory").is_dir() and os.access(GROUPS / "memory", os.W_OK)


pytestmark = pytest.mark.skipif(
    not _possible(), reason="needs root, ip, tc, iptables, and control groups of the first kind"
)


class Contained:
    """A process that serves files, with a control group, a network and an engine of its own."""

    def __init__(self, folder: Path) -> None:
        self.id = (uuid.uuid4().hex * 2)[:64]
        self.outer = f"ct{self.id[:8]}"
        self.address, outside = "10.213.77.2", "10.213.77.1/30"
        (folder / "large").write_bytes(b"\0" * 200_000)
        (folder / "small").write_bytes(b"\0")
        argv = ["unshare", "-n", sys.executable, "-m", "http.server", "-d", str(folder), str(PORT)]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.groups = [GROUPS / name / self.id for name in ("cpu", "memory")]
        for group in self.groups:
            group.mkdir()
            (group / "cgroup.procs").write_text(str(self.process.pid))
        eventually(self._alone, 5, "it has a network of its own")
        self._host(f"ip link add {self.outer} type veth peer name eth0 netns {self.process.pid}")
        self._host(f"ip addr add {outside} dev {self.outer} && ip link set {self.outer} up")
        self.inside(f"ip link set lo up; ip addr add {self.address}/30 dev eth0; ip link set eth0 up")
        eventually(lambda: self.fetched("small") is not None, 10, "it serves")

    def _alone(self) -> bool:
        return Path(f"/proc/{self.process.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()

    def _host(self, script: str) -> None:
        subprocess.run(["sh", "-c", script], check=True)

    def inside(self, script: str) -> str:
        """What a script says in its network namespace."""
        argv = ["nsenter", "-t", str(self.process.pid), "-n", "sh", "-c", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def fetched(self, name: str, within_s: float = 5.0) -> bytes | None:
        try:
            with urllib.request.urlopen(f"http://{self.address}:{PORT}/{name}", timeout=within_s) as answer:
                return bytes(answer.read())
        except OSError:
            return None

    def state(self) -> tuple[list[str], list[str], list[str]]:
        """Its rules, its queueing disciplines and its limits, as the kernel has them."""
        limits = [(group / name).read_text() for group in self.groups for name in LIMITS if (group / name).exists()]
        return self.inside("iptables -S").splitlines(), self.inside("tc qdisc show").splitlines(), limits

    def says(self, asked: Asked) -> Said:
        """What an engine says of it."""
        path = asked.path.partition("?")[0]
        if path.endswith("/version"):
            return _json({"ApiVersion": "1.41"})
        if path.endswith("/stats"):
            return _json({"cpu_stats": {"cpu_usage": {"total_usage": 1e9}}, "memory_stats": {"usage": 5 * MB}})
        if path.endswith("/containers/json"):
            return _json([{"Id": self.id, "Names": ["/model-1"], "HostConfig": {"NetworkMode": "bridge"}}])
        runs = self.process.poll() is None
        state = {"Status": "running" if runs else "exited", "Pid": self.process.pid if runs else 0, "StartedAt": "once"}
        networks = {"Networks": {"models": {"IPAddress": self.address, "Aliases": ["model-1"]}}}
        return _json(
            {
                "Id": self.id, "Name": "/model-1", "Config": {"Labels": dict([OPT_IN])}, "NetworkSettings": networks,
                "State": {**state, "ExitCode": 0 if runs else 137}, "HostConfig": {"NetworkMode": "models"},
            }
        )  # fmt: skip

    def end(self) -> None:
        """Nothing is left."""
        self.process.kill()
        self.process.wait()
        subprocess.run(["ip", "link", "del", self.outer], check=False, capture_output=True)
        for group in self.groups:
            eventually(lambda group=group: _gone(group), 5, "its control group is empty")


LIMITS = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")


def _json(said: object) -> Said:
    return Said(200, json.dumps(said).encode())


def _gone(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[Contained]:
    made = Contained(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def engine(contained: Contained) -> Iterator[Loopback]:
    with serving(contained.says) as server:
        yield server


def seen(contained: Contained, engine: Loopback) -> tuple[DockerDriver, Container, Before]:
    """A driver, the container, and its state as it is read from a disk."""
    driver = DockerDriver({"app": "model"}, OPT_IN, engine.url)
    container = Container("model-1", contained.id, dict([OPT_IN]), "running")
    return driver, container, json.loads(json.dumps(driver.inspect(container)))


def seconds_of(call: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    call()
    return time.perf_counter() - begun_s


def connects(contained: Contained, within_s: float = 0.05) -> bool:
    try:
        socket.create_connection((contained.address, PORT), timeout=within_s).close()
    except OSError:
        return False
    return True


def is_limited_in_time(contained: Contained, done: Performed) -> None:
    assert (contained.groups[0] / "cpu.cfs_quota_us").read_text().strip() == "20000"


def is_limited_in_memory(contained: Contained, done: Performed) -> None:
    assert 0 <= 64 * MB - int((contained.groups[1] / "memory.limit_in_bytes").read_text()) < 4096


def answers_late(contained: Contained, done: Performed) -> None:
    assert seconds_of(lambda: contained.fetched("small")) >= 2 * 0.1, (
        "a round trip for the connection, one for the answer"
    )
    assert float(done.evidence["round trip before"].split()[0]) < 50 < float(done.evidence["round trip"].split()[0])


def loses_packets(contained: Contained, done: Performed) -> None:
    assert 10 <= sum(connects(contained) for _ in range(60)) <= 55, "a quarter of the packets in each direction"
    lost, _, sent = done.evidence["packets lost"].partition(" of ")
    assert 0 < int(lost) < int(sent)


def damages_packets(contained: Contained, done: Performed) -> None:
    def wrong_checksums() -> int:
        rows = [line.split() for line in contained.inside("cat /proc/net/snmp").splitlines() if line.startswith("Tcp:")]
        return int(dict(zip(*rows, strict=True))["InCsumErrors"])

    assert sum(connects(contained) for _ in range(40)) < 40
    assert wrong_checksums() > 0
    lost, _, sent = done.evidence["packets lost"].partition(" of ")
    assert 0 < int(lost) < int(sent)


def sends_slowly(contained: Contained, done: Performed) -> None:
    assert seconds_of(lambda: contained.fetched("large")) > 1.2, (
        "200 kB at 100 kB/s, of which a part may be there at once"
    )
    assert "tbf" in done.evidence["in place"]


def is_silent(contained: Contained, done: Performed) -> None:
    with pytest.raises(TimeoutError):
        socket.create_connection((contained.address, PORT), timeout=0.3)
    assert done.evidence["packets lost before"].startswith("0 of")
    assert done.evidence["round trip"] == "none came back"


def refuses(contained: Contained, done: Performed) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((contained.address, PORT), timeout=2)


CASES: tuple[tuple[Act, Callable[[Contained, Performed], None]], ...] = (
    (Act("cpu_limit", {"cpus": 0.2}, 20.0), is_limited_in_time),
    (Act("memory_limit", {"size": 64 * MB}, 20.0), is_limited_in_memory),
    (Act("network_delay", {"by": 0.1, "jitter": 0.0}, 20.0), answers_late),
    (Act("network_loss", {"loss": 0.25}, 20.0), loses_packets),
    (Act("network_corruption", {"damaged": 0.4}, 20.0), damages_packets),
    (Act("network_bandwidth", {"rate": 100_000.0}, 20.0), sends_slowly),
    (Act("network_partition", {"how": "drop"}, 20.0), is_silent),
    (Act("network_partition", {"how": "refuse"}, 20.0), refuses),
)


def test_each_is_measured_from_outside_and_taken_off_by_another_driver_without_a_trace(
    contained: Contained, engine: Loopback
) -> None:
    driver, container, before = seen(contained, engine)
    earlier = contained.state()
    for act, shows in CASES:
        assert driver.cannot(act, container) is None, act
        assert driver.undo(act, container, before).call.startswith("nothing to do")
        shows(contained, driver.apply(act, container, before))
        another = DockerDriver({}, ("", ""), engine.url)
        another.undo(Act.from_json(act.to_json()), container, before)
        assert contained.state() == earlier, act
        assert not _queues(contained), act
        assert another.undo(act, container, before).call.startswith("nothing to do")
        assert seconds_of(lambda: contained.fetched("large")) < 1.0, act


def test_a_crash_kills_the_main_process_from_the_host(contained: Contained, engine: Loopback) -> None:
    driver, container, before = seen(contained, engine)
    done = driver.apply(Act("crash"), container, before)
    assert done.status == "exited"
    assert contained.process.wait(5) == -9


def test_what_was_done_half_is_undone_whole(contained: Contained, engine: Loopback) -> None:
    driver, container, before = seen(contained, engine)
    act = Act("network_delay", {"by": 0.2, "jitter": 0.0}, 20.0)
    driver.apply(act, container, before)
    for one in _queues(contained):
        one.kill()
        one.wait(5)
    assert seconds_of(lambda: contained.fetched("small")) < 0.15, "without its program the rule lets packets pass"
    driver.undo(act, container, before)
    assert not [line for line in contained.state()[0] if "chaos" in line]
    driver.apply(act, container, before)
    contained.inside("iptables -D INPUT 1")
    driver.undo(act, container, before)
    assert not [line for line in contained.state()[0] if "chaos" in line]
    assert not _queues(contained)


def test_a_packet_queue_ends_with_its_container(contained: Contained, engine: Loopback) -> None:
    driver, container, before = seen(contained, engine)
    driver.apply(Act("network_delay", {"by": 0.1, "jitter": 0.0}, 60.0), container, before)
    assert len(_queues(contained)) == 1
    contained.process.kill()
    contained.process.wait()
    eventually(lambda: not _queues(contained), 5, "the queue is gone")


def test_a_limit_that_somebody_else_has_changed_meanwhile_is_left_and_reported(
    contained: Contained, engine: Loopback
) -> None:
    driver, container, before = seen(contained, engine)
    act, file = Act("cpu_limit", {"cpus": 0.2}), contained.groups[0] / "cpu.cfs_quota_us"
    driver.apply(act, container, before)
    file.write_text("50000")
    with pytest.raises(NotUndone, match="changed by somebody else") as caught:
        driver.undo(act, container, before)
    assert str(file) in caught.value.by_hand
    assert file.read_text().strip() == "50000"
    with pytest.raises(Unreachable, match="changed since the plan"):
        driver.apply(act, container, before)
    subprocess.run(["sh", "-c", caught.value.by_hand], check=True)
    assert file.read_text().strip() == "-1"


def test_the_command_by_hand_takes_everything_off_the_network(contained: Contained, engine: Loopback) -> None:
    driver, container, before = seen(contained, engine)
    earlier = contained.state()
    for act, _ in CASES:
        if act.verb.startswith("network"):
            driver.apply(act, container, before)
            # There is no engine here that `docker inspect` could ask for the process.
            command, asked = re.subn(
                r"\$\(docker [^)]*\)", str(contained.process.pid), driver.by_hand(act, container, before)
            )
            assert asked == 1
            subprocess.run(["sh", "-c", command], check=False, capture_output=True)
            eventually(lambda: not _queues(contained), 5, "no packet queue is left")
            assert contained.state() == earlier, act
            assert driver.undo(act, container, before).call.startswith("nothing to do")


def test_an_interface_with_a_queue_of_its_own_is_left_alone(contained: Contained, engine: Loopback) -> None:
    driver, container, before = seen(contained, engine)
    contained.inside("tc qdisc add dev eth0 root handle 7: pfifo limit 50")
    act = Act("network_bandwidth", {"rate": 100_000.0})
    assert "a queueing discipline of its own" in str(driver.cannot(act, container))
    with pytest.raises(Unreachable, match="of its own"):
        driver.apply(act, container, before)
    driver.undo(act, container, before)
    assert any("pfifo 7:" in line for line in contained.state()[1])


def _queues(contained: Contained) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if contained.id in (one.info["cmdline"] or [])]

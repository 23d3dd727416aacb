"""The parts of the Docker driver that need no engine: scripts, numbers, and what is taken from a disk."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.drivers import echo, packet_queue
from chaos.drivers.base import VERBS, Act, Container
from chaos.drivers.beside import Beside, own, write_limits
from chaos.drivers.docker import DockerDriver
from chaos.drivers.docker_disk import FILL, Disk
from chaos.drivers.docker_engine import elsewhere
from chaos.drivers.docker_limits import changed, cpus_of, engines_own, groups_changed, limit_by_hand
from chaos.drivers.docker_network import rules_script, tc_script, undo_script
from chaos.drivers.docker_stress import BURN, COUNT, END, HOLD, MARK
from chaos.errors import Unreachable
from tests.drivers.loopback import eventually

ID = "c0ffee" * 10 + "c0ff"
V1 = {
    f"/sys/fs/cgroup/cpu/docker/{ID}/cpu.cfs_quota_us": "-1",
    f"/sys/fs/cgroup/cpu/docker/{ID}/cpu.cfs_period_us": "50000",
    f"/sys/fs/cgroup/memory/docker/{ID}/memory.limit_in_bytes": "9223372036854771712",
    f"/sys/fs/cgroup/memory/docker/{ID}/memory.memsw.limit_in_bytes": "9223372036854771712",
}
V2 = {
    f"/sys/fs/cgroup/system.slice/docker-{ID}.scope/cpu.max": "max 100000",
    f"/sys/fs/cgroup/system.slice/docker-{ID}.scope/memory.max": "max",
    f"/sys/fs/cgroup/system.slice/docker-{ID}.scope/memory.swap.max": "max",
}


def short(files: dict[str, str]) -> dict[str, str]:
    return {Path(path).name: value for path, value in files.items()}


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_limit_is_written_as_each_kind_of_control_group_wants_it() -> None:
    assert short(groups_changed("cpu", 0.2, V1)) == {"cpu.cfs_quota_us": "10000"}
    assert short(groups_changed("cpu", 0.2, V2)) == {"cpu.max": "20000 100000"}
    size = 64 * 1024 * 1024
    both = {"memory.limit_in_bytes": str(size), "memory.memsw.limit_in_bytes": str(size)}
    assert short(groups_changed("memory", size + 1000, V1)) == both, "in whole pages"
    assert short(groups_changed("memory", size, V2)) == {"memory.max": str(size), "memory.swap.max": "0"}


def test_the_engine_changes_only_what_the_container_was_created_with() -> None:
    assert changed("cpu", 0.2, {"NanoCpus": 500_000_000}) == {"NanoCpus": 200_000_000}
    assert changed("cpu", 0.2, {"CpuQuota": 50_000, "CpuPeriod": 0}) == {"CpuQuota": 20_000}
    assert changed("memory", 8192, {"Memory": 10_000}) == {"Memory": 8192, "MemorySwap": 8192}
    assert cpus_of({"NanoCpus": 1_500_000_000}) == 1.5
    assert cpus_of({"CpuQuota": 50_000, "CpuPeriod": 100_000}) == 0.5
    assert not engines_own("cpu", {"CpuQuota": -1})
    assert not engines_own("memory", {"Memory": 0, "MemorySwap": 0})


def test_the_command_by_hand_gives_back_the_very_limit_of_before() -> None:
    before: dict[str, Any] = {"limits": {"NanoCpus": 500_000_000, "Memory": 4096, "MemorySwap": 8192}, "groups": V1}
    assert limit_by_hand("cpu", 0.2, "c0ffee", "docker", before) == "docker update --cpus 0.5 c0ffee"
    assert limit_by_hand("memory", 1, "c0ffee", "docker", before) == (
        "docker update --memory 4096 --memory-swap 8192 c0ffee"
    )
    unlimited: dict[str, Any] = {"limits": {"NanoCpus": 0}, "groups": V1}
    assert limit_by_hand("cpu", 0.2, "c0ffee", "docker", unlimited) == (
        f"echo -1 > /sys/fs/cgroup/cpu/docker/{ID}/cpu.cfs_quota_us"
    )
    said = limit_by_hand("memory", 1, "c0ffee", "docker", unlimited)
    assert said.index("memsw") < said.index("memory.limit_in_bytes"), "more memory than both together is refused"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        f"/sys/fs/cgroup/memory/docker/{'d' * 64}/memory.limit_in_bytes",
        f"/sys/fs/cgroup/memory/docker/{ID}/../memory.limit_in_bytes",
        f"/sys/fs/cgroup/memory/docker/{ID}/release_agent",
        f"/tmp/{ID}/memory.max",
        f"relative/{ID}/memory.max",
    ],
)
def test_a_record_that_names_another_file_writes_nothing(path: str) -> None:
    assert not own(path, ID)
    with pytest.raises(Unreachable, match="no limit of the container"):
        write_limits({path: "0"}, ID)


def test_a_containers_own_limits_are_its_own_in_both_kinds_of_control_group() -> None:
    assert all(own(path, ID) for path in (*V1, *V2))


def test_a_process_that_is_not_in_the_containers_group_is_not_taken_for_it() -> None:
    assert Beside.of(os.getpid(), ID) is None
    assert Beside.of(0, ID) is None
    assert Beside.of(2**22 + 1, ID) is None


# --- disks ------------------------------------------------------------------------------------------------------------

GIB = 1024**3


@pytest.mark.parametrize(
    ("line", "disk"),
    [
        ("overlay 100 40 60 40% /", Disk("overlay", 102_400, 40_960, 61_440)),
        ("a share with spaces 100 40 60 40% /mnt", Disk("a share with spaces", 102_400, 40_960, 61_440)),
        ("tmpfs 65536 0 65536 0% /dev/shm", Disk("tmpfs", 64 * 1024**2, 0, 64 * 1024**2)),
    ],
)
def test_df_is_understood(line: str, disk: Disk) -> None:
    assert Disk.parse(line) == disk


@pytest.mark.parametrize("line", ["", "df: /x: No such file", "a b c d e f"])
def test_what_df_does_not_say_is_one_sentence(line: str) -> None:
    with pytest.raises(Unreachable, match="nothing that is understood"):
        Disk.parse(line)


def test_a_disk_that_others_need_keeps_a_tenth_and_a_gibibyte_free() -> None:
    shared = Disk("/dev/sda1", 100 * GIB, 50 * GIB, 50 * GIB)
    assert shared.fits(40 * GIB)
    assert not shared.fits(40 * GIB + 1)
    assert not Disk("overlay", 5 * GIB, 3 * GIB, 2 * GIB).fits(GIB + 1)
    assert Disk("tmpfs", GIB, 0, GIB).fits(100 * GIB)


# --- networks ---------------------------------------------------------------------------------------------------------

NETWORK = (
    Act("network_loss", {"loss": 0.25}),
    Act("network_partition", {"how": "drop"}),
    Act("network_partition", {"how": "refuse"}),
    Act("network_delay", {"by": 0.05, "jitter": 0.02}),
    Act("network_corruption", {"damaged": 0.05}),
)


def test_traffic_control_gets_its_numbers_in_its_own_units() -> None:
    assert tc_script(Act("network_bandwidth", {"rate": 100_000.0}), ["eth0", "eth1"]).split(" && ")[1] == (
        "tc qdisc add dev eth1 root handle c4a5: tbf rate 800000bit burst 3000 latency 400ms"
    )
    delay = tc_script(Act("network_delay", {"by": 0.05, "jitter": 0.02}), ["eth0"])
    assert "netem delay 60000us 10000us" in delay, "from 50 to 70 ms"
    assert tc_script(Act("network_corruption", {"damaged": 0.05}), ["eth0"]).endswith("netem corrupt 5.000000%")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("iptables") is None, reason="needs root and iptables")
def test_rules_go_up_and_come_off_again_in_an_empty_namespace() -> None:
    for act in NETWORK:
        script = f"({rules_script(act, ('iptables', 'ip6tables'))}) && iptables -S | grep -c chaos && {undo_script(act.verb)}"
        left = f"{script}; {undo_script(act.verb)}; iptables -S; ip6tables -S; tc qdisc show"
        said = subprocess.run(["unshare", "-n", "sh", "-ec", left], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        lines = said.stdout.split("\n")
        assert int(lines[0]) >= 3
        assert not [line for line in lines[1:] if "chaos" in line], act


def test_the_script_that_takes_everything_off_is_one_line_for_every_verb() -> None:
    for verb in VERBS:
        assert "\n" not in undo_script(verb)


# --- packets ----------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(1, 100), st.binary(max_size=40), max_size=5))
def test_attributes_are_read_as_they_are_written(said: dict[int, bytes]) -> None:
    body = struct.pack("!BBH", 0, 0, 7) + b"".join(
        packet_queue.attribute(kind, payload) for kind, payload in said.items()
    )
    assert packet_queue.attributes(body) == said


@given(st.binary(max_size=60))
def test_no_message_of_the_kernel_ends_the_packet_queue(data: bytes) -> None:
    for _, body in packet_queue.messages(data):
        packet_queue.attributes(body)


@given(st.binary(min_size=1, max_size=60))
def test_a_damaged_packet_differs_in_one_bit_and_every_checksum_sees_it(packet: bytes) -> None:
    after = packet_queue.damaged(packet)
    assert sum((one ^ other).bit_count() for one, other in zip(packet, after, strict=True)) == 1
    assert echo.checksum(packet) != echo.checksum(after)


def test_an_echo_comes_back_from_this_very_machine_within_a_moment() -> None:
    trips = echo.round_trips("127.0.0.1", 3, gap_s=0.0)
    if trips is None:
        pytest.skip("echoes may not be sent from here")
    assert len(trips) == 3
    assert all(0 <= trip < 0.5 for trip in trips)
    assert echo.median_ms([]) == "none came back"


def test_the_packet_queue_says_why_it_cannot_start() -> None:
    argv = [sys.executable, "-I", packet_queue.__file__, "--container", ID, "--queue", "1", "--pid", "1", "--for", "1"]
    tried = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", *argv], capture_output=True, text=True, check=False)  # fmt: skip
    if tried.returncode == 0:
        pytest.skip("this kernel lets anybody have a queue")
    assert "refuses the queue" in tried.stderr or "not permitted" in tried.stderr
    assert "Traceback" not in tried.stderr


IN_A_NAMESPACE = """
import os, subprocess, sys
from chaos.drivers import echo, packet_queue
rule = "ip link set lo up; iptables -I INPUT -p icmp --icmp-type echo-request -j NFQUEUE --queue-num 7 --queue-bypass"
subprocess.run(rule, shell=True, check=True)
for arguments in ([], ["--delay", "0.05", "--jitter", "0.01"], ["--damaged", "0.5"]):
    queue = None
    if arguments:
        argv = [sys.executable, "-I", packet_queue.__file__, "--container", "x", "--queue", "7", "--pid", str(os.getpid()), "--for", "20"]
        queue = subprocess.Popen([*argv, *arguments], stdout=subprocess.PIPE)
        assert queue.stdout.readline() == b"ready\\n"
    trips = echo.round_trips("127.0.0.1", 60, gap_s=0.002, wait_s=0.3)
    print(len(trips), min(trips), max(trips))
    if queue is not None:
        queue.terminate()
        queue.wait()
print(len(echo.round_trips("127.0.0.1", 5)))
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("iptables") is None, reason="needs root and iptables")
def test_packets_wait_or_are_damaged_as_asked_and_pass_when_the_queue_is_gone() -> None:
    argv = ["unshare", "-n", sys.executable, "-c", IN_A_NAMESPACE]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    free, late, broken = (line.split() for line in said[:3])
    assert free[0] == late[0] == "60", "none is lost"
    assert float(free[2]) < 0.05 <= float(late[1]), "each waits for at least as long as was asked"
    assert 10 <= int(broken[0]) <= 50, "half of them arrive damaged, and are dropped for their checksum"
    assert said[3] == "5"


# --- what runs beside a program ---------------------------------------------------------------------------------------


def shell(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script, "sh", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("script", "amount"), [(BURN, "1"), (HOLD, "20000000")], ids=["burn", "hold"])
def test_what_carries_the_mark_is_counted_and_ended_and_nothing_else_is(script: str, amount: str) -> None:
    ours, others = f"test-{time.monotonic_ns()}", f"test-{time.monotonic_ns()}-too"
    started = [
        subprocess.Popen(["sh", "-c", script, "sh", "60", amount], env={**os.environ, MARK: mark})
        for mark in (ours, others)
    ]
    try:
        eventually(lambda: int(shell(COUNT, ours).stdout) >= 2, 5, "it runs, with its children")
        ended = shell(END, ours)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        eventually(lambda: shell(END, ours) and shell(COUNT, ours).stdout == "0\n", 5, "none of them is left")
        assert started[0].wait(5) == -signal.SIGKILL
        assert int(shell(COUNT, others).stdout) >= 2
    finally:
        eventually(lambda: shell(END, others) and shell(COUNT, others).stdout == "0\n", 5, "the others are gone, too")
        for one in started:
            one.wait(5)


def test_what_nobody_ends_ends_by_itself() -> None:
    for script, amount in ((BURN, "1"), (HOLD, "1000")):
        begun_s = time.monotonic()
        shell(script, "1", amount)
        assert 0.5 < time.monotonic() - begun_s < 20


def test_a_file_takes_the_space_that_was_asked_for_and_never_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "fill"
    assert shell(FILL, str(path), "300000").stdout.strip() == "300000"
    assert path.stat().st_blocks * 512 >= 300_000, "the space is really taken"
    assert shell(FILL, str(path), "5").returncode != 0
    assert path.stat().st_size == 300_000


@pytest.mark.parametrize(
    ("host", "said", "there"),
    [
        (None, None, None),
        (None, "unix:///run/user/1000/docker.sock", None),
        ("tcp://127.0.0.1:2375", "tcp://far:2375", None),
        ("tcp://[::1]:2375", None, None),
        (None, "tcp://far:2375", "tcp://far:2375"),
        ("ssh://me:secret@far", None, "ssh://**********@far"),
        ("tcp://[far", None, "tcp://[far"),
    ],
)
def test_an_engine_on_another_machine_is_known_by_its_address_without_its_login(
    host: str | None, said: str | None, there: str | None
) -> None:
    assert elsewhere(host, {"DOCKER_HOST": said} if said is not None else {}) == there


def test_nothing_is_done_to_containers_that_no_warden_could_reach() -> None:
    driver = DockerDriver({"app": "model"}, ("chaos.enabled", "true"), "tcp://far.example:2375")
    why = driver.cannot(Act("pause", {}), Container("a", ID, {}, "running"))
    assert why is not None
    assert "another machine (tcp://far.example:2375)" in why

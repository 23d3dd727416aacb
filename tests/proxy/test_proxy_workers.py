"""Several workers: one table for all of them, counts of all of them, and what is left of a fault when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from chaos.proxy.armed import ArmCounts, FaultCounts, RunState
from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.registry import Registry
from chaos.proxy.tally import add_counters, add_run, take_counters, take_run
from chaos.proxy.worker import Follower, Table, table_of
from tests.proxy.loopback import Backend, Proxy, Reply, arming, eventually, infer, running_proxy, sized, talk

ERROR = {"fault": "http_error", "status": 503}
WORKERS = 2


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Backend]]:
    """A proxy of two workers, and the backend behind it."""
    backend = Backend()
    folder = tmp_path_factory.mktemp("workers")
    with running_proxy(folder, f"--workers={WORKERS}", "--record-bodies", model=backend.port) as made:
        yield made, backend
    backend.close()


@pytest.fixture
def proxy(fleet: tuple[Proxy, Backend]) -> Proxy:
    """Idle, and every worker serves."""
    eventually(lambda: whole(fleet[0]))
    assert fleet[0].ask("DELETE", "/runs").status_code == 204
    return fleet[0]


@pytest.fixture
def backend(fleet: tuple[Proxy, Backend]) -> Backend:
    """It has seen nothing."""
    fleet[1].forget()
    return fleet[1]


def metric(proxy: Proxy, name: str) -> float:
    """The metric's value, summed over its labels."""
    lines = proxy.ask("GET", "/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.partition("{")[0].split(" ")[0] == name)


def whole(proxy: Proxy) -> bool:
    """Whether every worker serves."""
    return metric(proxy, "chaos_proxy_workers") == WORKERS


def workers(proxy: Proxy) -> list[int]:
    """The process ids of the workers."""
    return [child.pid for child in psutil.Process(proxy.process.pid).children() if child.status() != "zombie"]


def everywhere(proxy: Proxy, subject: str, count: int = 12) -> set[bytes]:
    """The status lines of so many connections at a time: enough that every worker has some."""
    with_request = [socket.create_connection(("127.0.0.1", proxy.routes["model"]), 10) for _ in range(count)]
    said = set()
    for place, connection in enumerate(with_request):
        connection.sendall(infer(f"{subject}-{place}", close=False))
    for connection in with_request:
        with connection:
            said.add(connection.recv(65536).split(b"\r\n")[0])
    return said


class Load:
    """Keep-alive clients that ask again and again; what each got, in order, and when."""

    def __init__(self, port: int, clients: int, pause_s: float = 0.002) -> None:
        self.port = port
        self.pause_s = pause_s
        self.answers: list[tuple[float, float, bytes]] = []
        """When asked, when answered, and the status line."""
        self.lost: list[tuple[float, int]] = []
        """When a connection ended, and its port at the client."""
        self.refused = 0
        self.ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(f"c{place}",)) for place in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join(15)

    def _ask(self, name: str) -> None:
        request = infer(name, close=False)
        while not self.ended.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), 10)
            except OSError:
                self.refused += 1
                continue
            with connection:
                mine = connection.getsockname()[1]
                if not self._talk(connection, request):
                    self.lost.append((time.monotonic(), mine))

    def _talk(self, connection: socket.socket, request: bytes) -> bool:
        """Whether the connection lasted until the end."""
        while not self.ended.is_set():
            asked, said = time.monotonic(), b""
            try:
                connection.sendall(request)
                while not said.endswith((b"ok", b"}")):
                    piece = connection.recv(65536)
                    if not piece:
                        return False
                    said += piece
            except ConnectionError:
                return False
            self.answers.append((asked, time.monotonic(), said.split(b"\r\n")[0]))
            self.ended.wait(self.pause_s)
        return True

    def more(self, count: int) -> tuple[float, float]:
        """Waits for so many answers more; when that began and ended."""
        begun, so_far = time.monotonic(), len(self.answers)
        eventually(lambda: len(self.answers) >= so_far + count)
        return begun, time.monotonic()

    def seen(self, begun: float, ended: float) -> set[bytes]:
        """The status lines of what was asked and answered between these times."""
        inside = [said for asked, answered, said in self.answers if begun <= asked and answered <= ended]
        assert len(inside) > 30
        return set(inside)


def clients_of(proxy: Proxy, pid: int) -> set[int]:
    """The clients' ports of the connections that this worker has."""
    port = proxy.routes["model"]
    found = psutil.Process(pid).net_connections("tcp")
    return {one.raddr.port for one in found if one.laddr.port == port and one.raddr}


def test_an_arming_holds_in_every_worker_when_it_is_answered_and_in_none_after_a_disarming(
    proxy: Proxy, backend: Backend
) -> None:
    for place in range(10):
        assert proxy.arm(f"all-{place}", ERROR)["generation"] == 1
        assert everywhere(proxy, "armed") == {b"HTTP/1.1 503 Service Unavailable"}
        assert proxy.ask("DELETE", f"/runs/all-{place}").status_code == 204
        assert everywhere(proxy, "idle") == {b"HTTP/1.1 200 OK"}


def test_the_counts_of_all_workers_are_one(proxy: Proxy, backend: Backend) -> None:
    before = metric(proxy, "chaos_proxy_injected_errors_total")
    proxy.arm("counted", ERROR)
    for _ in range(2):
        everywhere(proxy, "counted", 20)
    state = proxy.state("counted")
    assert (state["arms"]["treatment"]["requests"], state["faults"]["0"]["injected"]) == (40, 40)
    assert state["arms"]["treatment"]["latency_buckets"]["+Inf"] == 40
    assert state["arms"]["treatment"]["subjects"] is None, "each worker may have met the same one"
    assert sum(row["treatment"]["errors"] for row in state["by_second"]) == 40
    assert state["faults"]["0"]["first_effect"]["monotonic_s"] < state["faults"]["0"]["last_effect"]["monotonic_s"]
    assert metric(proxy, "chaos_proxy_injected_errors_total") == before + 40
    proxy.ask("DELETE", "/runs/counted")
    everywhere(proxy, "after", 20)
    assert proxy.state("counted")["arms"]["treatment"]["untouched_since_disarm"] == 20


def test_changes_of_all_workers_are_kept_under_one_numbering(proxy: Proxy, backend: Backend) -> None:
    answer = b'{"outputs":[{"name":"label","datatype":"INT64","shape":[1],"data":[1]}]}'
    backend.replies["/v2/models/model/infer"] = sized(answer, "Content-Type: application/json")
    proxy.arm("kept", {"fault": "wrong_predictions"}, output={"label": "label", "classes": [0, 1]})
    everywhere(proxy, "kept", 20)
    changes = proxy.ask("GET", "/runs/kept/changes").json()
    assert [change["id"] for change in changes["changes"]] == list(range(1, 21))
    assert changes["last"] == 20
    assert all(change["label_after"] == 0 for change in changes["changes"])


def test_connections_that_stay_are_spread_evenly_over_the_workers(proxy: Proxy, backend: Backend) -> None:
    clients = [socket.create_connection(("127.0.0.1", proxy.routes["model"]), 10) for _ in range(64)]
    for place, client in enumerate(clients):
        client.sendall(infer(f"spread-{place}", close=False))
        assert client.recv(65536)
    spread = [len(clients_of(proxy, pid)) for pid in workers(proxy)]
    for client in clients:
        client.close()
    assert sum(spread) == 64
    assert min(spread) >= 22


def test_a_killed_worker_takes_only_its_own_connections(proxy: Proxy, backend: Backend) -> None:
    with Load(proxy.routes["model"], 8) as load:
        for _ in range(2):
            load.more(50)
            victim, survivor = workers(proxy)
            theirs = clients_of(proxy, survivor)
            before = len(load.lost)
            os.kill(victim, signal.SIGKILL)
            load.more(150)
            assert not theirs & {port for _, port in load.lost[before:]}
            eventually(lambda: whole(proxy))
    assert load.refused == 0
    assert load.lost  # or nobody was there to be cut off


def test_workers_that_are_killed_around_an_arming_or_a_disarming_never_leave_a_fault(
    proxy: Proxy, backend: Backend
) -> None:
    with Load(proxy.routes["model"], 8) as load:
        for place in range(2):
            load.more(10)
            killer = threading.Thread(target=os.kill, args=(workers(proxy)[0], signal.SIGKILL))
            killer.start()  # at any moment of the arming
            proxy.arm(f"kill-{place}", ERROR)
            armed = load.more(150)
            killer.join()
            killer = threading.Thread(target=os.kill, args=(workers(proxy)[-1], signal.SIGKILL))
            killer.start()
            assert proxy.ask("DELETE", f"/runs/kill-{place}").status_code == 204
            idle = load.more(150)
            killer.join()
            assert load.seen(*armed) == {b"HTTP/1.1 503 Service Unavailable"}
            assert load.seen(*idle) == {b"HTTP/1.1 200 OK"}
            eventually(lambda: whole(proxy))
    assert load.refused == 0


def test_a_worker_that_dies_while_others_wait_to_be_accepted_loses_none_of_those(
    proxy: Proxy, backend: Backend
) -> None:
    both = workers(proxy)
    for pid in both:
        os.kill(pid, signal.SIGSTOP)
    waiting = [socket.create_connection(("127.0.0.1", proxy.routes["model"]), 15) for _ in range(20)]
    for pid in both:
        os.kill(pid, signal.SIGKILL)
    for connection in waiting:
        with connection:
            connection.sendall(infer("waits", close=True))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_successors_obey_from_their_first_request_on(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("inherited", ERROR)
    for pid in workers(proxy):
        os.kill(pid, signal.SIGKILL)
    assert everywhere(proxy, "armed") == {b"HTTP/1.1 503 Service Unavailable"}
    eventually(lambda: whole(proxy))
    assert proxy.ask("DELETE", "/runs/inherited").status_code == 204
    for pid in workers(proxy):
        os.kill(pid, signal.SIGKILL)
    assert everywhere(proxy, "idle") == {b"HTTP/1.1 200 OK"}


def test_a_silent_worker_is_replaced_and_disarming_does_not_wait_for_it_for_long(
    proxy: Proxy, backend: Backend
) -> None:
    proxy.arm("silent", {"fault": "delay", "by": "600s"})
    replaced = metric(proxy, "chaos_proxy_workers_replaced_total")
    stopped = workers(proxy)[0]
    os.kill(stopped, signal.SIGSTOP)
    begun = time.monotonic()
    assert proxy.ask("DELETE", "/runs/silent").status_code == 204
    assert time.monotonic() - begun < 2.0
    assert stopped not in workers(proxy)
    eventually(lambda: whole(proxy))
    assert metric(proxy, "chaos_proxy_workers_replaced_total") == replaced + 1
    assert everywhere(proxy, "after") == {b"HTTP/1.1 200 OK"}


def test_an_arming_that_a_worker_never_acknowledges_is_refused_and_holds_nowhere(
    proxy: Proxy, backend: Backend
) -> None:
    os.kill(workers(proxy)[0], signal.SIGSTOP)
    answer = proxy.ask("PUT", "/runs/unheard", json=arming(ERROR))
    assert answer.status_code == 503
    assert "did not answer" in answer.json()["error"]
    assert proxy.ask("GET", "/healthz").json()["held_by"] is None
    eventually(lambda: whole(proxy))
    assert everywhere(proxy, "after") == {b"HTTP/1.1 200 OK"}


def test_a_lease_ends_in_the_workers_even_while_the_parent_is_stopped(proxy: Proxy, backend: Backend) -> None:
    proxy.ask("PUT", "/runs/leased", json=arming(ERROR, lease_s=1))
    assert everywhere(proxy, "armed") == {b"HTTP/1.1 503 Service Unavailable"}
    before = set(workers(proxy))
    proxy.process.send_signal(signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        eventually(lambda: talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200"), 10)
        while time.monotonic() < stopped + 1.0:  # longer than a worker may be silent
            assert everywhere(proxy, "later") == {b"HTTP/1.1 200 OK"}
    finally:
        proxy.process.send_signal(signal.SIGCONT)
    assert proxy.state("leased")["state"] == "expired"
    assert set(workers(proxy)) == before  # nobody was silent: it was the parent that slept


def passes(seconds: float) -> None:
    """So much time has passed: nothing else can be waited for while everybody is stopped."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until)


def test_when_everybody_was_stopped_for_a_while_nobody_is_taken_for_silent(proxy: Proxy, backend: Backend) -> None:
    before = workers(proxy)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    passes(0.2)  # the parent has asked, and hears nothing
    proxy.process.send_signal(signal.SIGSTOP)
    passes(0.7)
    for pid in (proxy.process.pid, *before):
        os.kill(pid, signal.SIGCONT)
    assert everywhere(proxy, "later") == {b"HTTP/1.1 200 OK"}
    passes(0.3)
    assert workers(proxy) == before


def test_a_renewed_lease_lives_on_in_every_worker(proxy: Proxy, backend: Backend) -> None:
    proxy.ask("PUT", "/runs/renewed", json=arming(ERROR, lease_s=1))
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert proxy.ask("POST", "/runs/renewed/lease").status_code == 200
        assert everywhere(proxy, "held") == {b"HTTP/1.1 503 Service Unavailable"}


def test_a_worker_told_to_end_lets_its_answer_go_out_first(proxy: Proxy, backend: Backend) -> None:
    gate, said = threading.Event(), []
    backend.replies["/slow"] = Reply(sized(b"in time").pieces, gate=gate)
    slow = b"GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n"
    asking = threading.Thread(target=lambda: said.append(talk(proxy.routes["model"], slow)))
    asking.start()
    both = workers(proxy)
    eventually(lambda: backend.seen)
    for pid in both:
        os.kill(pid, signal.SIGTERM)
    gate.set()
    asking.join(10)
    assert said[0].endswith(b"in time")
    eventually(lambda: not set(both) & set(workers(proxy)) and whole(proxy))


def test_when_the_parent_is_gone_faults_end_at_once_and_the_port_is_free_again(tmp_path: Path) -> None:
    backend, gate = Backend(), threading.Event()
    backend.replies["/v2/models/model/infer"] = Reply(sized(b"late").pieces, gate=gate)
    said: list[bytes] = []
    with suppress(AssertionError), running_proxy(tmp_path, "--workers=2", model=backend.port) as proxy:
        port, children = proxy.routes["model"], [psutil.Process(pid) for pid in workers(proxy)]
        proxy.arm("orphaned", {"fault": "delay", "by": "600s"})
        asking = threading.Thread(target=lambda: said.append(talk(port, infer("someone"))))
        asking.start()
        eventually(lambda: proxy.state("orphaned")["arms"]["treatment"]["requests"])
        proxy.process.kill()
    eventually(lambda: backend.seen)  # the delay is over, long before its 600 seconds
    gate.set()
    asking.join(10)
    assert said[0].endswith(b"late")
    eventually(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
    with socket.create_server(("127.0.0.1", port)):
        backend.close()


# --- the table and the tally, without processes -----------------------------------------------------------------------


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def told(parent: Registry) -> Table:
    """What a worker would be told, as it arrives there."""
    return Table.of_json(json.loads(json.dumps(table_of(parent).as_json())))


def test_a_follower_is_what_the_table_says() -> None:
    clock = Clock()
    parent, follower = Registry(clock), Follower(clock)
    parent.arm("a", parse_arming(arming(ERROR, lease_s=5)))
    clock.now_s += 1
    parent.arm("a", parse_arming(arming(ERROR, {"fault": "delay", "by": "1s"}, lease_s=5)))
    follower.follow(told(parent))
    (armed,) = follower.active
    assert (armed.run, armed.generation) == ("a", 2)
    assert [one.since_s for one in armed.request_faults] == [1000.0, 1001.0]
    clock.now_s += 4
    parent.renew("a")
    follower.follow(told(parent))
    assert follower.active[0] is armed  # a renewal changes the deadline alone
    clock.now_s += 4
    assert follower.current() == (armed,)
    clock.now_s += 1.5
    assert not follower.current()


def test_a_table_that_comes_late_arms_nothing() -> None:
    clock = Clock()
    parent, follower = Registry(clock), Follower(clock)
    parent.arm("a", parse_arming(arming(ERROR, lease_s=5)))
    late = told(parent)
    clock.now_s += 6
    follower.follow(late)
    assert not follower.current()


def test_a_follower_disarms_when_it_cannot_do_what_it_is_told() -> None:
    clock = Clock()
    parent, follower = Registry(clock), Follower(clock)
    parent.arm("a", parse_arming(arming(ERROR)))
    follower.follow(told(parent))
    (hold,) = told(parent).holds
    unknown = parse_arming(arming({"fault": "of a newer version"}))
    with pytest.raises(Refusal):
        follower.follow(Table((replace(hold, generation=9, arming=unknown),)))
    assert not follower.current()


def filled(kind: object, amount: int) -> Any:
    """Every counter has something in it, whatever is counted in times to come."""
    for name, value in list(vars(kind).items()):
        if isinstance(value, int | float):
            setattr(kind, name, value + amount)
    return kind


def test_what_is_taken_here_and_added_there_is_the_same_and_is_taken_once() -> None:
    counters = filled(Counters(), 3)
    counters.answered("r", "none", 200)
    counters.upstream_took("r", 0.004)
    counters.selected["delay", "treatment"] += 4
    counters.delay_s["delay"] += 0.25
    wanted = counters.text(armed=0, expiries=0)
    total = Counters()
    add_counters(total, take_counters(counters))
    add_counters(total, take_counters(counters))
    assert total.text(armed=0, expiries=0) == wanted
    assert take_counters(counters) == {}


def test_every_counter_of_the_proxy_can_be_carried() -> None:
    assert take_counters(Counters()) == {}
    strange = Counters()
    strange.refused = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="refused"):
        take_counters(strange)


def test_two_workers_counts_of_a_run_are_added_and_the_outermost_effects_stay() -> None:
    total = RunState("a", faults={0: FaultCounts()})
    for wall_s, errors in ((7, 2), (5, 1), (7, 4)):
        worker = RunState("a", faults={0: FaultCounts(injected=errors)})
        worker.faults[0].happened(wall_s, wall_s + 100.0)
        worker.answered("treatment", 0.02, wall_s, failed=True)
        worker.arms["treatment"].untouched_since_disarm = 400
        worker.seconds = deque([{"wall_s": wall_s, "treatment": {"first_attempts": 1, "errors": 1}}], maxlen=120)
        worker.note_change({"row": wall_s})
        add_run(total, take_run(worker))
        assert take_run(worker) == {}
    fault = total.faults[0]
    assert fault.injected == 7
    assert (fault.first_effect or {})["wall_s"] == 5
    assert (fault.last_effect or {})["wall_s"] == 7
    assert total.arms["treatment"].latency[3] == 0
    assert total.arms["treatment"].latency[2] == 3
    assert total.arms["treatment"].untouched_since_disarm == 1000
    assert total.arms["control"] == ArmCounts()
    assert [(row["wall_s"], row["treatment"]["errors"]) for row in total.seconds] == [(5, 1), (7, 2)]
    assert [(change["id"], change["row"]) for change in total.changes] == [(1, 7), (2, 5), (3, 7)]

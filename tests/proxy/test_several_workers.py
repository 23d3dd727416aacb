"""Several runs at a proxy of several workers: all of them obey all of the table, and a worker that dies leaves nothing stale."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.registry import Registry
from chaos.proxy.worker import Follower, Table
from chaos.proxy.workers import PATIENT_S
from tests.proxy.loopback import Backend, Proxy, arming, eventually, infer, running_proxy
from tests.proxy.test_beside import Clock, of, runs, x
from tests.proxy.test_proxy_workers import Load, told, whole, workers
from tests.proxy.test_several_runs import error, held, within


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Backend]]:
    backend = Backend()
    with running_proxy(tmp_path_factory.mktemp("shared"), "--workers=2", model=backend.port) as made:
        yield made, backend
    backend.close()


@pytest.fixture
def shared(_shared: tuple[Proxy, Backend]) -> Proxy:
    """A proxy of two workers that serve, held by nobody."""
    eventually(lambda: whole(_shared[0]))
    assert _shared[0].ask("DELETE", "/runs").status_code == 204
    return _shared[0]


def everywhere(proxy: Proxy, value: str, count: int = 12) -> set[int]:
    """What so many connections at a time are told: enough that every worker has some."""
    clients = [socket.create_connection(("127.0.0.1", proxy.routes["model"]), 10) for _ in range(count)]
    for place, client in enumerate(clients):
        client.sendall(infer(f"someone-{place}", b"{}", f"X: {value}", close=False))
    found = set()
    for client in clients:
        with client:
            found.add(int(client.recv(65536).split()[1]))
    return found


def test_what_one_run_changes_holds_in_every_worker_when_it_is_answered_and_changes_nothing_for_the_other(
    shared: Proxy,
) -> None:
    shared.arm("fixed", error(503), **within(x("a")))
    for place in range(5):
        shared.arm(f"moves-{place}", error(429), **within(x("b")))
        assert (everywhere(shared, "a"), everywhere(shared, "b")) == ({503}, {429})
        shared.arm(f"moves-{place}", error(500), **within(x("c")))
        assert [everywhere(shared, value) for value in "abc"] == [{503}, {200}, {500}]
        assert shared.ask("DELETE", f"/runs/moves-{place}").status_code == 204
        assert [everywhere(shared, value) for value in "abc"] == [{503}, {200}, {200}]
    assert shared.state("fixed")["arms"]["treatment"]["requests"] == 5 * 3 * 12
    assert shared.state("fixed")["arms"]["outside"]["requests"] == 5 * 5 * 12


def test_the_removal_of_one_is_proven_by_the_counts_of_all_workers_while_another_goes_on(shared: Proxy) -> None:
    shared.arm("stays", error(503), **within(x("a")))
    shared.arm("leaves", error(429), **within(x("b")))
    shared.ask("DELETE", "/runs/leaves")
    assert (everywhere(shared, "b", 20), everywhere(shared, "a")) == ({200}, {503})
    assert shared.state("leaves")["arms"]["treatment"]["untouched_since_disarm"] == 20


class Sliced(Load):
    """Clients in one slice."""

    def __init__(self, port: int, clients: int, value: str) -> None:
        self.value = value
        super().__init__(port, clients)

    def _talk(self, connection: socket.socket, request: bytes) -> bool:
        return super()._talk(connection, request.replace(b"\r\n\r\n", b"\r\nX: %s\r\n\r\n" % self.value.encode(), 1))


def test_workers_that_are_killed_leave_nothing_of_a_run_that_has_ended_and_all_of_one_that_has_not(
    shared: Proxy,
) -> None:
    port = shared.routes["model"]
    shared.arm("lasting", error(503), **within(x("a")))
    with Sliced(port, 4, "a") as ours, Sliced(port, 4, "b") as theirs:
        for place in range(2):
            theirs.more(10)
            killer = threading.Thread(target=os.kill, args=(workers(shared)[0], signal.SIGKILL))
            killer.start()  # at any moment of the arming
            shared.arm(f"brief-{place}", error(429), **within(x("b")))
            armed = theirs.more(80)
            killer.join()
            killer = threading.Thread(target=os.kill, args=(workers(shared)[-1], signal.SIGKILL))
            killer.start()
            assert shared.ask("DELETE", f"/runs/brief-{place}").status_code == 204
            idle = theirs.more(80)
            killer.join()
            assert theirs.seen(*armed) == {b"HTTP/1.1 429 Too Many Requests"}
            assert theirs.seen(*idle) == {b"HTTP/1.1 200 OK"}
            eventually(lambda: whole(shared))
    assert {line for *_, line in ours.answers} == {b"HTTP/1.1 503 Service Unavailable"}
    assert ours.refused == theirs.refused == 0
    assert held(shared) == ["lasting"]


def test_an_arming_that_a_worker_never_acknowledges_ends_itself_and_not_the_run_beside_it(shared: Proxy) -> None:
    shared.arm("heard", error(503), **within(x("a")))
    os.kill(workers(shared)[0], signal.SIGSTOP)
    answer = shared.ask("PUT", "/runs/unheard", json=arming(error(429), **within(x("b"))))
    assert answer.status_code == 503
    assert answer.json()["holders"] == [{"run": "heard", "where": x("a")}]
    eventually(lambda: whole(shared))
    assert [everywhere(shared, value) for value in "ab"] == [{503}, {200}]


def test_a_fault_that_an_arming_takes_away_ends_as_fast_as_one_that_is_disarmed(shared: Proxy) -> None:
    shared.arm("ends", error(503), **within(x("a")))
    stopped = workers(shared)[0]
    os.kill(stopped, signal.SIGSTOP)
    begun_s = time.perf_counter()
    shared.ask("PUT", "/runs/ends", json=arming(**within(x("a"))))
    assert time.perf_counter() - begun_s < PATIENT_S, "it was not waited for as long as for one that begins"
    assert stopped not in workers(shared)
    eventually(lambda: whole(shared))
    shared.ask("DELETE", "/runs/ends")
    assert everywhere(shared, "a") == {200}


# --- the table, without processes -------------------------------------------------------------------------------------


def followed(*values: str) -> tuple[Registry, Follower, Clock]:
    """A parent that runs hold, each named after its slice, and a worker that has been told."""
    clock = Clock()
    parent, follower = Registry(clock), Follower(clock)
    for value in values:
        parent.arm(value, of(x(value)))
    follower.follow(told(parent))
    return parent, follower, clock


def test_a_worker_holds_what_the_table_holds_in_its_order_and_nothing_else() -> None:
    parent, follower, _ = followed("a", "b", "c")
    assert runs(follower) == ["a", "b", "c"]
    before = follower.active
    parent.disarm("a")
    parent.arm("d", of(x("a")))
    parent.arm("b", of(x("e")))
    follower.follow(told(parent))
    assert [(one.run, one.generation, one.arms.where) for one in follower.active] == [
        ("b", 2, x("e")),
        ("c", 1, x("c")),
        ("d", 1, x("a")),
    ]
    assert follower.active[1] is before[2]  # whoever did not change is not made anew
    assert [one.run for one in before] == ["a", "b", "c"]
    assert (list(follower.holders), follower.runs["a"].state) == (["b", "c", "d"], "disarmed")
    assert [one.run for one in follower.proving()] == ["a"]
    follower.follow(Table())
    assert runs(follower) == []


def test_each_lease_of_a_table_ends_by_itself_in_a_worker() -> None:
    parent, follower, clock = followed("a")
    parent.arm("b", of(x("b"), lease_s=5))
    follower.follow(told(parent))
    late = told(parent)
    clock.now_s += 5.001
    assert runs(follower) == ["a"]
    follower.follow(late)  # a table that comes late brings back nothing that is over
    assert [one.run for one in follower.active] == ["a"]


def test_those_who_wait_in_a_worker_are_let_go_with_their_run_alone() -> None:
    parent, follower, _ = followed("a", "b")
    released: list[str] = []
    follower.waiting = {lambda: released.append("a"): ("a", 0), lambda: released.append("b"): ("b", 0)}
    parent.disarm("a")
    follower.follow(told(parent))
    assert released == ["a"]


@pytest.mark.parametrize("before", [(), ("broken",), ("broken", "changed")])
def test_a_worker_that_cannot_do_all_that_changes_does_none_of_it_and_goes_on_with_what_does_not(
    before: tuple[str, ...],
) -> None:
    parent, follower, clock = followed("same", "ended", *before)
    clock.now_s += 10
    parent.renew("same")
    parent.disarm("ended")
    parent.arm("changed", of(x("changed")))
    parent.arm("broken", of(x("broken")))
    unknown = parse_arming(arming({"fault": "of a newer version"}))
    table = [replace(hold, arming=unknown) if hold.run == "broken" else hold for hold in told(parent).holds]
    with pytest.raises(Refusal, match="unknown to this proxy"):
        follower.follow(Table(tuple(table)))
    assert runs(follower) == ["same"]
    clock.now_s += 25  # its renewal was in that table
    assert runs(follower) == ["same"]
    clock.now_s -= 25
    follower.follow(told(parent))
    assert sorted(runs(follower)) == ["broken", "changed", "same"]


def test_a_run_that_ended_in_a_worker_is_counted_anew_when_it_comes_back() -> None:
    parent, follower, _ = followed("a", "b")
    parent.disarm("a")
    follower.follow(told(parent))
    follower.passed({"x-request-id": "someone", "x": "a"}, None)
    parent.arm("a", of(x("a")))
    follower.follow(told(parent))
    assert (follower.runs["a"].state, follower.proving()) == ("armed", ())
    assert [one.run for one in follower.active] == ["b", "a"]

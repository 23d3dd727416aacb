"""What a fault is told of its own past: how long it has been on, how many requests it had selected, and what it kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from chaos.faults.base import Action, Answer, Call, Wait
from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.registry import Registry
from chaos.proxy.worker import Follower, table_of
from tests.proxy.loopback import Backend, Proxy, arming, infer, talk
from tests.proxy.scripted import acting, arm
from tests.proxy.test_plane_memory import GET, OK, Bench, run
from tests.proxy.test_registry import Clock

ASK = b"GET /a HTTP/1.1\r\nX-Request-Id: a\r\n\r\n"
FAULTS = ({"fault": "hang"}, {"fault": "http_error"})


def armed(registry: Registry, *faults: dict[str, Any], run: str = "run", **more: Any) -> None:
    registry.arm(run, parse_arming(arming(*faults, **more)))


def kept(registry: Registry) -> dict[int, Any]:
    """Each fault's memory, by its index."""
    return {fault.index: fault.memory for held in registry.active for fault in held.faults}


def test_a_memory_survives_that_its_fault_is_armed_again_and_goes_with_the_fault() -> None:
    registry = Registry(Clock())
    armed(registry, *FAULTS)
    first, second = kept(registry)[0], kept(registry)[1]
    assert first is not second
    armed(registry, *FAULTS)
    assert kept(registry) == {0: first, 1: second}
    armed(registry, FAULTS[0])
    armed(registry, *FAULTS)
    assert kept(registry)[0] is first
    assert kept(registry)[1] is not second


@pytest.mark.parametrize("how", ["disarmed", "expired"])
def test_a_memory_goes_with_its_run(how: str) -> None:
    clock = Clock()
    registry = Registry(clock)
    armed(registry, *FAULTS, lease_s=5)
    first = kept(registry)[0]
    if how == "expired":
        clock.now_s += 6
        registry.expire()
        assert registry.runs["run"].memories == {}
        return
    registry.disarm("run")
    assert registry.runs["run"].memories == {}
    armed(registry, *FAULTS)
    assert kept(registry)[0] is not first


def test_two_runs_remember_apart() -> None:
    registry = Registry(Clock())
    for run_name, region in (("one", "north"), ("two", "south")):
        where = f'header:x-region == "{region}"'
        armed(registry, FAULTS[0], run=run_name, arms={"traffic": 1.0, "by": "request", "where": where})
    assert registry.runs["one"].memories[0] is not registry.runs["two"].memories[0]


def test_a_worker_remembers_through_every_table_that_keeps_the_fault() -> None:
    clock = Clock()
    parent, worker = Registry(clock), Follower(clock)
    armed(parent, *FAULTS)
    worker.follow(table_of(parent))
    first = kept(worker)[0]
    armed(parent, FAULTS[0])
    worker.follow(table_of(parent))
    assert kept(worker) == {0: first}
    parent.disarm("run")
    worker.follow(table_of(parent))
    assert worker.runs["run"].memories == {}


def test_a_fault_is_told_how_many_it_had_selected_before_also_while_those_still_wait() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[int] = []

        def act(call: Call) -> Iterable[Action]:
            told.append(call.memory.selected)
            return [Wait(600.0)]

        arm(bench, acting(act))
        bench.client.data_received(ASK)
        second = type(bench.client)(bench.route)
        second.connection_made(type(bench.client_pipe)())
        second.data_received(ASK)
        assert told == [0, 1]
        bench.client.connection_lost(None)
        second.connection_lost(None)

    run(scenario)


def test_requests_that_it_does_not_select_are_not_counted() -> None:
    async def scenario() -> None:
        bench = Bench()
        arm(bench, acting(lambda call: [], share=0.0))
        bench.client.data_received(ASK)
        assert kept(bench.registry)[0].selected == 0

    run(scenario)


def test_edited_answers_are_counted_after_each() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench.registry, {"fault": "wrong_predictions"})
        memory = kept(bench.registry)[0]
        body = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[1]}]}'
        for number in range(2):
            assert memory.selected == number
            bench.client.data_received(b"POST /v2/models/m/infer HTTP/1.1\r\nX-Request-Id: a\r\n\r\n")
            bench.upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert memory.selected == 2

    run(scenario)


def test_a_fault_is_told_how_long_it_has_been_on() -> None:
    async def scenario() -> None:
        bench = Bench()
        told: list[float] = []

        def act(call: Call) -> Iterable[Action]:
            told.append(call.elapsed_s)
            return [Answer(503, {}, b"")]

        arm(bench, acting(act))
        (held,) = bench.registry.active
        held.request_faults[0].since_s -= 100.0
        bench.client.data_received(ASK)
        await bench.settle()
        bench.client.data_received(ASK)
        assert 100.0 <= told[0] <= told[1] < 160.0

    run(scenario)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"fault": "bandwidth", "to": "10kB/s"}, "hurts how answers reach their clients"),
        ({"fault": "malformed_body"}, "makes other bytes of an answer"),
        ({"fault": "reset"}, "hurts requests"),
    ],
)
def test_what_nobody_waits_for_is_refused_in_shadow_mode(fault: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal) as refused:
        armed(Registry(Clock()), fault, mode="shadow")
    assert refused.value.problems == [
        f"{fault['fault']} {why}, and `mode: shadow` touches copies of answers alone; arm it live"
    ]


@pytest.mark.parametrize("fault", [{"fault": "bandwidth", "to": "10kB/s"}, {"fault": "malformed_body"}])
def test_a_cap_in_predictions_is_refused_where_whole_answers_are_hurt(fault: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="hurts whole answers, whose predictions nobody has counted"):
        armed(Registry(Clock()), fault, most="5 predictions")


def test_a_new_answer_to_an_old_question_is_not_mixed_up_by_a_released_hang() -> None:
    async def scenario() -> None:
        bench = Bench()
        armed(bench.registry, {"fault": "hang"})
        bench.client.data_received(ASK + GET)
        assert not bench.upstream_pipe.written
        bench.registry.disarm("run")
        assert bytes(bench.upstream_pipe.written) == ASK
        bench.upstream.data_received(OK)
        await bench.settle()
        assert bytes(bench.upstream_pipe.written) == ASK + GET

    asyncio.run(scenario())


def test_fail_first_n_fails_so_many_of_one_process_and_no_more(backend: Backend, proxy: Proxy) -> None:
    proxy.arm("first", {"fault": "fail_first_n", "first": 3})
    port = proxy.routes["model"]
    said = [talk(port, infer(f"request-{number}"))[9:12] for number in range(6)]
    assert said == [b"503"] * 3 + [b"200"] * 3
    assert len(backend.seen) == 3
    counts = proxy.state("first")["faults"]["0"]
    assert (counts["selected_requests"], counts["injected"]) == (6, 3)
    proxy.arm("first", {"fault": "fail_first_n", "first": 3})
    assert talk(port, infer("again"))[9:12] == b"200"  # armed again, it goes on where it was

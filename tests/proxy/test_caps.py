"""`most:` is a promise: however many requests come, through however many workers, no more are hurt than it says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos.caps import Cap, Most
from chaos.drivers.proxy import Arming, ProxyFleet
from tests.proxy.loopback import (
    TOKEN,
    Backend,
    Proxy,
    arming,
    eventually,
    infer,
    running_proxy,
    sized,
    talk,
)
from tests.proxy.test_event_streams import ASK, END, HEAD, Bench, chunk, payload_of, said, shouting
from tests.proxy.test_event_streams import arm as arm_stream
from tests.proxy.test_proxy_workers import whole, workers

ERROR = {"fault": "http_error", "status": 503}
WRONG = {"fault": "wrong_predictions"}
ROWS = 4
ANSWER = json.dumps(
    {
        "model_name": "model",
        "outputs": [{"name": "label", "shape": [ROWS], "datatype": "BYTES", "data": ["good", "bad", "good", "bad"]}],
    }
).encode()
OUTPUT = {"label": "label", "classes": ["good", "bad"]}


@pytest.fixture(scope="module")
def _fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Backend]]:
    backend = Backend()
    with running_proxy(tmp_path_factory.mktemp("capped"), "--workers=2", model=backend.port) as made:
        yield made, backend
    backend.close()


@pytest.fixture
def several(_fleet: tuple[Proxy, Backend]) -> Proxy:
    """A proxy of two workers that serve, held by nobody."""
    eventually(lambda: whole(_fleet[0]))
    assert _fleet[0].ask("DELETE", "/runs").status_code == 204
    return _fleet[0]


def statuses(proxy: Proxy, count: int, name: str = "s") -> list[int]:
    """What so many requests are told, each on a connection of its own, several at a time."""

    def one(place: int) -> int:
        return int(talk(proxy.routes["model"], infer(f"{name}-{place}")).split()[1])

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


def test_no_more_requests_are_hurt_than_the_cap_says_and_the_rest_passes(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("capped-requests", ERROR, most="7 requests")
    assert sorted(statuses(proxy, 40)) == [200] * 33 + [503] * 7
    assert len(backend.seen) == 33
    assert proxy.state("capped-requests")["cap"] == {"most": "7 requests", "hurt": 7, "withheld": 33}


@pytest.mark.parametrize(
    "fault", [{"fault": "truncated_body"}, {"fault": "malformed_body"}, {"fault": "bandwidth", "to": "1MB/s"}]
)
def test_answers_that_come_otherwise_are_under_the_cap_as_others_are(
    proxy: Proxy, backend: Backend, fault: dict[str, str]
) -> None:
    backend.replies["/v2/models/model/infer"] = sized(ANSWER, "Content-Type: application/json")
    name = f"capped-{fault['fault']}"
    proxy.arm(name, fault, most="3 requests")
    for place in range(10):
        talk(proxy.routes["model"], infer(f"who-{place}"))
    assert proxy.state(name)["faults"]["0"]["selected_requests"] == 3
    assert proxy.state(name)["cap"]["hurt"] == 3


def test_what_is_armed_later_has_what_is_left_of_the_cap_and_so_has_a_run_that_comes_back(proxy: Proxy) -> None:
    proxy.arm("capped-again", ERROR, most="5 requests")
    assert statuses(proxy, 3).count(503) == 3
    proxy.arm("capped-again", ERROR, {**ERROR, "status": 500}, most="5 requests")
    assert statuses(proxy, 1) == [503]
    proxy.ask("DELETE", "/runs/capped-again")
    proxy.arm("capped-again", ERROR, most="5 requests")
    assert sorted(statuses(proxy, 5)) == [200, 200, 200, 200, 503]


def test_a_cap_never_grows_under_a_run(proxy: Proxy) -> None:

    proxy.arm("capped-fixed", ERROR, most="1 request")
    for other in ({"most": "2 requests"}, {}):
        answer = proxy.ask("PUT", "/runs/capped-fixed", json=arming(ERROR, **other))
        assert answer.status_code == 422
        assert "a run's cap stays what it is" in answer.text


def test_an_answer_with_more_selected_predictions_than_are_left_stays_whole(proxy: Proxy, backend: Backend) -> None:
    backend.replies["/v2/models/model/infer"] = sized(ANSWER, "Content-Type: application/json")
    proxy.arm("capped-rows", WRONG, most=f"{2 * ROWS + ROWS - 1} predictions", output=OUTPUT)
    port = proxy.routes["model"]
    answers = [talk(port, infer(f"who-{place}")) for place in range(5)]
    assert [answer.endswith(ANSWER) for answer in answers] == [False, False, True, True, True]
    assert proxy.state("capped-rows")["faults"]["0"]["changed_rows"] == 2 * ROWS
    assert proxy.state("capped-rows")["cap"]["hurt"] == 2 * ROWS


@pytest.mark.parametrize("most", ["1 request", "1 prediction"])
def test_streamed_text_is_under_the_cap_from_its_first_event_to_its_last(most: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        arm_stream(bench, shouting(), most=most)
        for text in ("ONE", "one"):  # the second stream passes as the model said it
            bench.client.data_received(ASK)
            before = len(bench.client_pipe.written)
            bench.upstream.data_received(HEAD + chunk(said("one")) + chunk(said("one")) + END)
            assert payload_of(bytes(bench.client_pipe.written[before:]))[0] == 2 * said(text)
        cap = bench.registry.runs["run"].cap
        assert cap is not None
        assert (cap.hurt, cap.withheld) == (1, 1)

    asyncio.run(scenario())


def test_workers_divide_the_cap_and_round_it_down(several: Proxy) -> None:
    several.arm("divided", ERROR, most="9 requests")
    assert statuses(several, 120).count(503) == 8
    assert several.state("divided")["cap"]["hurt"] == 8


def test_a_cap_that_leaves_a_worker_without_any_is_refused(several: Proxy) -> None:

    answer = several.ask("PUT", "/runs/too-few", json=arming(ERROR, most="1 request"))
    assert answer.status_code == 422
    assert "less than one for each of 2 workers" in answer.text
    assert several.ask("GET", "/version").json()["holders"] == []


def test_a_worker_that_dies_takes_its_part_of_the_cap_with_it(several: Proxy) -> None:
    several.arm("killed", ERROR, most="20 requests")
    hurt = statuses(several, 10, "before").count(503)
    for _ in range(2):
        victim = workers(several)[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda victim=victim: victim not in workers(several) and whole(several))
        hurt += statuses(several, 60, f"after-{victim}").count(503)
    several.arm("killed", ERROR, most="20 requests")
    hurt += statuses(several, 60, "at last").count(503)
    assert 10 <= hurt <= 20
    assert statuses(several, 20, "never again").count(503) == 0


def test_the_proxies_of_a_target_divide_the_cap(several: Proxy, proxy: Proxy, backend: Backend) -> None:

    fleet = ProxyFleet([several.control, proxy.control], TOKEN)
    fleet.arm("both", Arming(arming(ERROR, most="11 requests")))
    hurt = [statuses(one, 60).count(503) for one in (several, proxy)]
    fleet.disarm("both")
    assert hurt == [4, 5]  # of five for each: two workers with two each


@pytest.mark.parametrize(
    "text", ["500", "500 rows", "-1 requests", "1e9 requests", "5.5 requests", "9" * 13 + " requests", ""]
)
def test_what_is_no_cap_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is no cap; write something like `500 requests` or `2000 predictions`"):
        Most.parse(text)


def test_parts_of_a_cap_are_never_more_than_the_whole() -> None:
    for count in range(40):
        for parts in range(1, 9):
            assert parts * Most(count, "requests").part(parts).count <= count


def test_what_is_taken_together_is_never_more_than_the_cap() -> None:
    cap = Cap(Most(10, "predictions"))
    assert [cap.takes(count) for count in (4, 7, 6, 1)] == [True, False, True, False]
    assert (cap.hurt, cap.withheld) == (10, 2)

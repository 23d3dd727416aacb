"""The soak finds what it is there to find: a leak, an error that nobody asked for, a process that is left over."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.proxy.cases import MODELS, SMALL, answer, change, request_ids, selected
from benchmarks.soak.__main__ import main
from benchmarks.soak.client import Answer, Cut, Line
from benchmarks.soak.runs import strange
from benchmarks.soak.samples import Sample, Tally, grown, left_over, missing, problems, report, slope, trend
from benchmarks.soak.traffic import INJECTED, KINDS, STREAM, Unexpected, judged, judged_stream

ROOT = Path(__file__).parents[1]
WARM_UP_S = 120.0
STEADY = [Sample(float(at), 50.0 + at % 3, 100 + at % 7, 4) for at in range(600)]
HURT = next(one for one in request_ids() if selected(one, 0.1))
SPARED = next(one for one in request_ids() if not selected(one, 0.1))


def mb(one: Sample) -> float:
    return one.rss_mb


# --- samples ----------------------------------------------------------------------------------------------------------


def test_a_proxy_that_stays_as_it_is_has_no_problem() -> None:
    assert problems(STEADY, Tally(), WARM_UP_S) == []


@pytest.mark.parametrize(
    ("name", "leaking"),
    [
        ("memory", [replace(one, rss_mb=50 + one.at_s / 60) for one in STEADY]),
        ("descriptors", [replace(one, descriptors=100 + int(one.at_s / 10)) for one in STEADY]),
        ("tasks", [replace(one, tasks=4 + int(one.at_s / 10)) for one in STEADY]),
    ],
)
def test_a_leak_is_found_and_named(name: str, leaking: list[Sample]) -> None:
    (found,) = problems(leaking, Tally(), WARM_UP_S)
    assert found.startswith(name)
    assert "grew by" in found


def test_an_error_that_nobody_asked_for_is_found() -> None:
    tally = Tally()
    for _ in range(3):
        tally.complain("small: status 502")
    assert problems(STEADY, tally, WARM_UP_S) == ["3 × not asked for: small: status 502"]


def test_what_grows_while_it_warms_up_is_no_leak() -> None:
    assert grown([replace(one, rss_mb=50 + min(one.at_s, WARM_UP_S)) for one in STEADY], WARM_UP_S) == []


def test_a_single_large_answer_in_the_last_second_is_no_leak() -> None:
    assert grown([*STEADY, replace(STEADY[-1], at_s=600.0, rss_mb=500.0)], WARM_UP_S) == []


def test_a_few_clients_more_are_no_leak_of_descriptors() -> None:
    assert grown([replace(one, descriptors=20 + int(one.at_s / 60)) for one in STEADY], WARM_UP_S) == []


def test_tasks_that_outlive_every_client_are_found() -> None:
    assert left_over(STEADY[0], replace(STEADY[0], tasks=40)) != []
    assert left_over(STEADY[0], replace(STEADY[0], tasks=5)) == []


def test_the_trend_is_told_at_the_start_after_the_warm_up_at_the_end_and_by_the_hour() -> None:
    found = trend([replace(one, rss_mb=50 + one.at_s / 3600) for one in STEADY], mb, WARM_UP_S)
    assert found is not None
    assert found.start == 50.0
    assert found.warm == pytest.approx(50 + 143.5 / 3600)
    assert found.end == pytest.approx(50 + 575.5 / 3600)
    assert found.per_hour == pytest.approx(1.0)


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 9.0)]])
def test_where_no_line_can_be_drawn_the_slope_is_none(points: list[tuple[float, float]]) -> None:
    assert slope(points) == 0.0


def test_tasks_that_cannot_be_seen_are_no_problem_and_the_report_says_so() -> None:
    blind = [replace(one, tasks=None) for one in STEADY]
    assert problems(blind, Tally(), WARM_UP_S) == []
    assert "tasks: not seen" in report(blind, Tally(), WARM_UP_S)


def test_complaints_of_ever_new_kinds_do_not_fill_the_memory() -> None:
    tally = Tally()
    for number in range(1000):
        tally.complain(f"complaint {number}")
    assert len(tally.unexpected) < 100
    assert sum(tally.unexpected.values()) == 1000


def test_a_soak_in_which_something_never_happened_says_what() -> None:
    tally = Tally()
    tally.met("small", "whole", 0.1)
    assert missing(STEADY, tally, WARM_UP_S, ["small"], ["whole"]) == []
    assert len(missing(STEADY[:10], tally, WARM_UP_S, ["small", "large"], ["whole", "changed"])) == 3


# --- answers ----------------------------------------------------------------------------------------------------------


def got(body: bytes, status: int = 200) -> Answer:
    return Answer(status, {}, body)


@pytest.mark.parametrize(
    ("answered", "request_id", "outcome"),
    [
        (got(answer(SMALL)), HURT, "whole"),
        (got(answer(SMALL)), SPARED, "whole"),
        (got(change(answer(SMALL))), HURT, "changed"),
        (got(json.dumps(json.loads(change(answer(SMALL)))).encode()), HURT, "changed"),
        (got(b"{}", INJECTED), HURT, "injected"),
    ],
)
def test_what_a_run_does_to_its_own_requests_is_asked_for(answered: Answer, request_id: str, outcome: str) -> None:
    assert judged(answered, SMALL, request_id) == outcome


@pytest.mark.parametrize(
    ("answered", "request_id"),
    [
        (got(change(answer(SMALL))), SPARED),
        (got(b"{}", INJECTED), SPARED),
        (got(answer(SMALL)[:-1]), HURT),
        (got(answer(MODELS["large"])), HURT),
        (got(b"{}", 502), HURT),
        (got(b""), SPARED),
    ],
    ids=["changed", "injected", "cut", "another's", "unreachable", "empty"],
)
def test_what_nobody_asked_for_is_unexpected(answered: Answer, request_id: str) -> None:
    with pytest.raises(Unexpected):
        judged(answered, SMALL, request_id)


def test_a_streamed_answer_must_have_every_event_in_its_order() -> None:
    assert judged_stream(got(STREAM), SPARED) == "whole"
    events = STREAM.split(b"\n\n")
    with pytest.raises(Unexpected):
        judged_stream(got(b"\n\n".join([events[1], events[0], *events[2:]])), SPARED)


def test_all_kinds_together_ask_no_more_often_than_they_were_told() -> None:
    assert sum(kind.per_s(2000) for kind in KINDS) <= 2000
    assert sum(kind.per_s(10) for kind in KINDS) <= 10.0001


def test_counters_that_fall_and_counters_that_must_stay_are_noticed() -> None:
    before = {'chaos_proxy_requests_total{route="steady"}': 5.0, "chaos_proxy_armed": 1.0}
    unreachable = 'chaos_proxy_upstream_unreachable_total{route="steady"}'
    assert strange(before, {**before, "chaos_proxy_armed": 0.0}, "steady") == []
    assert len(strange(before, {'chaos_proxy_requests_total{route="steady"}': 4.0}, "steady")) == 1
    assert len(strange(before, {**before, unreachable: 1.0}, "steady")) == 1
    assert strange({unreachable: 1.0}, {unreachable: 1.0}, "steady") == []


# --- clients ----------------------------------------------------------------------------------------------------------

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answered: bytes) -> AsyncIterator[Line]:
    """A line to a server that sends this and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answered)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    line = Line("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield line
    finally:
        line.close()
        server.close()


async def asked(answered: bytes) -> Answer:
    async with serving(answered) as line:
        return await line.ask(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n3\r\nole\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_a_client_takes_a_whole_answer(answered: bytes) -> None:
    assert asyncio.run(asked(answered)).body == b"whole"


@pytest.mark.parametrize(
    ("answered", "begun"),
    [
        (b"", False),
        (b"HTTP/1.1 200 O", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhol", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n", True),
    ],
    ids=["nothing", "head", "no body", "length", "chunks"],
)
def test_a_client_says_that_an_answer_was_cut_and_whether_it_had_begun(answered: bytes, begun: bool) -> None:
    with pytest.raises(Cut) as cut:
        asyncio.run(asked(answered))
    assert cut.value.begun == begun


# --- the whole --------------------------------------------------------------------------------------------------------


def soak(*arguments: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "benchmarks.soak", *arguments]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)


def test_a_proxy_under_every_kind_of_traffic_does_nothing_that_nobody_asked_for() -> None:
    told, _ = soak("--minutes", "0.12", "--rate", "100").communicate(timeout=120)
    assert "errors that were not asked for: 0\n" in told, told
    assert re.findall("PROBLEM: (?!memory)(.*)", told) == [], told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_process_is_left_however_a_soak_ends(number: signal.Signals) -> None:
    running = soak("--minutes", "5", "--rate", "50")
    assert running.stdout is not None
    assert any(line.startswith("traffic begins") for line in iter(running.stdout.readline, ""))
    children = psutil.Process(running.pid).children(recursive=True)
    assert len(children) == 2
    os.kill(running.pid, number)
    running.communicate(timeout=60)
    assert running.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=30)[1] == []


@pytest.mark.parametrize("wrong", [("--rate", "2001"), ("--minutes", "0")])
def test_a_soak_without_bounds_is_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        main(list(wrong))

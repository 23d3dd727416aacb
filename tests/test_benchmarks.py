"""The benchmark's numbers are made as its document says, and the document is what the newest stored result says."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.proxy import machine
from benchmarks.proxy.__main__ import Step, turned
from benchmarks.proxy.cases import CASES, MODELS, SMALL, Case, answer, change, request_ids, selected
from benchmarks.proxy.load import answer_size, run
from benchmarks.proxy.peers import STARTS, Peer
from benchmarks.proxy.picture import apart, draw, log_ticks
from benchmarks.proxy.render import BUDGET, Limit, met, number, tables, with_tables
from benchmarks.proxy.results import Result, Run, Spread, from_json, spread
from chaos.arms import Arms
from chaos.faults.base import Call
from chaos.faults.wrong_predictions import WrongPredictions
from chaos.protocols.base import Output
from chaos.protocols.oip import PROTOCOL

ROOT = Path(__file__).parents[1]
STORED = sorted((ROOT / "benchmarks/proxy/results").glob("*.json"))

ONE = Run("cpu", "idle, 0.5 kB", "chaos", 0, 1000, 0, 1.0, 0.02, 0.5, 0.0, 20.0, 0.3, 0.9)


def result(*runs: Run) -> Result:
    names = dict.fromkeys(one.peer for one in runs)
    facts = {"processor": "P", "cores": "2", "kernel": "6", "python": "3.11"}
    settings = {"rounds": 3.0, "seconds": 1.0, "wrk": 1.0}
    return Result("2026-01-01", facts, settings, dict.fromkeys(names, "1.0"), {"envoy": "not here"}, runs)


def cpu(one: Run) -> float:
    return one.cpu_us


# --- the repository's result ------------------------------------------------------------------------------------------


def test_the_document_and_its_picture_say_what_the_newest_stored_result_says() -> None:
    newest = from_json(json.loads(STORED[-1].read_text()))
    document = (ROOT / "docs/benchmarks.md").read_text()
    assert with_tables(document, newest) == document
    assert (ROOT / "docs/benchmarks.svg").read_text() == draw(newest)


def test_the_newest_stored_result_has_our_proxy_and_nginx_in_every_idle_case() -> None:
    newest = from_json(json.loads(STORED[-1].read_text()))
    for case in ("idle, 0.5 kB", "idle, 20 kB"):
        assert newest.ratio("cpu", case, "chaos", "nginx", cpu) is not None


# --- statistics -------------------------------------------------------------------------------------------------------


def test_a_stored_result_reads_back_as_it_was() -> None:
    made = result(ONE, replace(ONE, peer="nginx", errors=3))
    assert from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.parametrize("broken", [{"format": 0}, {"runs": [{"case": "?"}]}, {"colour": "red"}])
def test_a_result_that_is_of_another_format_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="result"):
        from_json({**result(ONE).as_json(), **broken})


def test_cpu_per_request_is_cpu_time_over_answers() -> None:
    assert ONE.cpu_us == pytest.approx(20.0)
    assert ONE.rate == pytest.approx(1000.0)


def test_a_ratio_is_formed_inside_rounds_so_a_slow_round_does_not_move_it() -> None:
    ours = [replace(ONE, round=number, cpu_s=2 * slow) for number, slow in enumerate((0.01, 0.1, 0.013))]
    theirs = [replace(ONE, peer="nginx", round=number, cpu_s=slow) for number, slow in enumerate((0.01, 0.1, 0.013))]
    found = result(*ours, *theirs).ratio("cpu", ONE.case, "chaos", "nginx", cpu)
    assert found is not None
    assert (found.median, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_round_that_only_one_of_both_has_is_in_no_ratio() -> None:
    runs = [ONE, replace(ONE, round=1, cpu_s=9.0), replace(ONE, peer="nginx", cpu_s=0.01)]
    found = result(*runs).ratio("cpu", ONE.case, "chaos", "nginx", cpu)
    assert found == Spread(2.0, 2.0, 2.0)


def test_a_run_with_failed_requests_is_in_no_number_and_is_told() -> None:
    made = result(ONE, replace(ONE, round=1, errors=1, cpu_s=9.0), replace(ONE, round=2, requests=0))
    assert made.spread("cpu", ONE.case, "chaos", cpu) == spread([ONE.cpu_us])
    assert "Left out: 2 of 3 runs" in tables(made)


def test_a_spread_is_the_median_and_the_range() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)
    assert Spread(2.0, 1.0, 4.0).noise == pytest.approx(1.5)
    assert spread([]) is None


def test_the_noise_is_how_far_apart_rounds_of_the_same_measurement_are() -> None:
    made = result(replace(ONE, cpu_s=0.02), replace(ONE, round=1, cpu_s=0.03))
    noise = made.noise()
    assert noise is not None
    assert noise.median == pytest.approx(10 / 25)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Spread(1.0, 0.9, 1.1), "yes"),
        (Spread(1.4, 1.3, 1.7), "yes, within the noise"),
        (Spread(1.7, 1.5, 1.8), "**no**, within the noise"),
        (Spread(2.0, 1.9, 2.1), "**no**"),
        (None, "not measured"),
    ],
)
def test_a_limit_is_kept_by_the_median_and_noise_across_it_is_said(ratio: Spread | None, said: str) -> None:
    assert met(Limit("cpu", ONE.case, cpu, "CPU", "nginx", 1.6), ratio) == said


def test_every_line_of_the_budget_is_about_something_that_is_measured() -> None:
    assert {limit.peer for limit in BUDGET} <= set(STARTS)
    assert {limit.case for limit in BUDGET if limit.section == "cpu"} <= {case.name for case in CASES}


def test_the_tables_name_who_is_absent_and_what_a_peer_cannot_do() -> None:
    told = tables(result(ONE))
    assert "Absent: envoy (not here)." in told
    assert "| **chaos proxy** 1.0 | 20.0 (20.0–20.0) | cannot |" in told


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012")]
)
def test_numbers_have_about_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_document_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="no lines"):
        with_tables("# Nothing", result(ONE))


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.95), (13.0, 25_000.0), (20.0, 20.0), (1.0, 1000.0)])
def test_ticks_enclose_all_values(low: float, high: float) -> None:
    found = log_ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert found[-1] > found[0]


def test_labels_keep_their_order_and_their_distance() -> None:
    assert apart([10.0, 11.0, 50.0, 9.0], 13) == [22.0, 35.0, 50.0, 9.0]


# --- the work ---------------------------------------------------------------------------------------------------------


def test_exactly_a_tenth_of_the_requests_is_changed_and_the_same_ones_by_every_proxy() -> None:
    ids = request_ids()
    assert sum(selected(one, 0.1) for one in ids) == len(set(ids)) // 10 == 100
    arms = Arms("benchmark", 0.1)
    assert [selected(one, 0.1) for one in ids] == [arms.arm_of(one) == "treatment" for one in ids]


@pytest.mark.parametrize("name", ["small", "large", "100kB", "rows-10", "rows-400"])
def test_peers_change_an_answer_as_our_proxy_does(name: str) -> None:
    before = answer(MODELS[name])
    rows = PROTOCOL.rows(before, {}, Output())
    fault = WrongPredictions(target="model")
    after = fault.edit(rows, Call("benchmark", 0, "someone", 1.0, {}))
    assert len(rows) == MODELS[name].rows
    assert PROTOCOL.encode(before, {}, Output(), rows, after)[0] == change(before)
    assert change(before) != before


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_an_answer_is_about_as_large_as_it_is_called(model: object) -> None:
    assert len(answer(model)) == pytest.approx(model.size, rel=0.1)  # type: ignore[arg-type, attr-defined]


def test_a_round_has_every_measurement_once_and_another_peer_goes_first_in_each() -> None:
    steps = [Step("cpu", case, name) for case in CASES[:2] for name in ("a", "b", "c")]
    rounds = [list(turned(steps, number)) for number in range(3)]
    assert all(sorted(map(repr, one)) == sorted(map(repr, steps)) for one in rounds)
    assert [one[0].peer for one in rounds] == ["a", "b", "c"]


def test_a_peer_is_asked_only_for_what_it_can() -> None:
    peer = Peer("nginx", "1", {0.0: 1}, None)
    assert [peer.can(case) for case in (Case("idle", SMALL), Case("some", SMALL, 0.1))] == [True, False]


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Len", None),
        (b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 3\r\n\r\nab", 47),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 60),
    ],
)
def test_the_load_knows_where_an_answer_ends(data: bytes, size: int | None) -> None:
    assert answer_size(data) == size


@pytest.fixture
def backend_port(tmp_path: Path) -> Iterator[int]:
    port = machine.free_port()
    argv = [sys.executable, "-m", "benchmarks.proxy.backend", str(port)]
    backend = machine.start(argv, machine.cores().load, tmp_path / "log", [port], {"PYTHONPATH": str(ROOT)})
    yield port
    backend.end()
    assert backend.process.poll() is not None


def test_the_closed_loop_counts_every_answer_of_the_backend(backend_port: int) -> None:
    found = run(backend_port, SMALL, 4, 0.2, 0.0)
    assert found.errors == 0
    assert len(found.latencies_s) == found.requests > 0


@pytest.mark.parametrize(("rate", "connections"), [(200.0, 4), (10_000.0, 1)], ids=["at ease", "faster than it can"])
def test_the_open_loop_sends_every_request_that_was_due_and_waits_for_its_answer(
    rate: float, connections: int, backend_port: int
) -> None:
    found = run(backend_port, SMALL, connections, 0.2, rate)
    assert (found.errors, found.requests, len(found.latencies_s)) == (0, round(0.2 * rate), round(0.2 * rate))


def test_a_process_that_never_listens_is_ended_and_its_last_words_are_told(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('the port is cursed')"]
    with pytest.raises(RuntimeError, match="the port is cursed"):
        machine.start(argv, machine.cores().load, tmp_path / "log", [machine.free_port()])


def test_ending_a_process_ends_its_children_too(tmp_path: Path) -> None:
    port = machine.free_port()
    child = "import time; time.sleep(600)"
    parent = (
        "import http.server, subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), http.server.BaseHTTPRequestHandler).serve_forever()"
    )
    running = machine.start([sys.executable, "-c", parent], machine.cores().load, tmp_path / "log", [port])
    everyone = machine.family(running.process.pid)
    running.end()
    assert len(everyone) == 2
    until = time.monotonic() + 5
    while _alive(everyone[1]) and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert not _alive(everyone[1])


def _alive(number: int) -> bool:
    try:
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

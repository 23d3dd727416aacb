"""The benchmark's numbers are made as its document says, and the document is what the newest stored result says."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.proxy import machine
from benchmarks.proxy.__main__ import QUICK, SECTIONS, STEP_S, Step, steps, taking_part, turned
from benchmarks.proxy.cases import (
    CASES,
    CURVES,
    IDLE,
    LATENCIES,
    MANY,
    MODELS,
    SMALL,
    SOME,
    TWO,
    WORKERS,
    WORKS,
    Case,
    Work,
    answer,
    change,
    request_ids,
    selected,
)
from benchmarks.proxy.load import answer_size, run
from benchmarks.proxy.peers import STARTS, Peer
from benchmarks.proxy.picture import DARK, LIGHT, MARKS, apart, draw, log_ticks
from benchmarks.proxy.render import BUDGET, Limit, met, number, tables, with_tables
from benchmarks.proxy.results import Noise, Result, Run, Spread, from_json, noise, spread
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


def peer(name: str, *works: Work) -> Peer:
    return Peer(name, "1", dict.fromkeys(works, 1), None)


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


def test_a_result_of_before_memory_was_measured_by_process_reads_back_without_it() -> None:
    body = result(ONE).as_json()
    for name in ("pss_mb", "parent_mb", "largest_mb"):
        del body["runs"][0][name]
    assert from_json(body) == result(ONE)


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
    assert found == Spread(2.0, 2.0, 2.0, rounds=1)


def test_a_run_with_failed_requests_is_in_no_number_and_is_told() -> None:
    made = result(ONE, replace(ONE, round=1, errors=1, cpu_s=9.0), replace(ONE, round=2, requests=0))
    assert made.spread("cpu", ONE.case, "chaos", cpu) == spread([ONE.cpu_us])
    assert "Left out: 2 of 3 runs" in tables(made)


def test_a_spread_is_the_median_and_the_range_and_how_many_there_were() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0, rounds=4)
    assert spread([]) is None


def test_noise_is_how_far_single_rounds_lie_off_their_own_median() -> None:
    assert noise([[9.0, 10.0, 12.0], [100.0, 100.0]]) == Noise(usual=0.0, seldom=pytest.approx(0.2))


def test_noise_does_not_grow_with_the_number_of_rounds() -> None:
    few, many = noise([[9.0, 10.0, 11.0]]), noise([[9.0, 10.0, 11.0] * 20])
    assert few == many


def test_one_round_says_nothing_about_noise() -> None:
    assert noise([[1.0], []]) is None
    assert "nothing can be said about noise" in tables(result(ONE))


def test_the_noise_of_a_section_is_told_by_the_values_of_that_section() -> None:
    made = result(ONE, replace(ONE, round=1, cpu_s=0.03), replace(ONE, section="latency", round=1, cpu_s=9.0))
    assert made.noise({"cpu"}, cpu) == Noise(pytest.approx(0.2), pytest.approx(0.2))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Spread(1.0, 0.9, 1.1, 5), "yes"),
        (Spread(1.4, 1.3, 1.7, 5), "yes, within the noise"),
        (Spread(1.7, 1.5, 1.8, 5), "**no**, within the noise"),
        (Spread(2.0, 1.9, 2.1, 5), "**no**"),
        (Spread(2.0, 1.9, 2.1, 2), "**no**, in 2 of 2 rounds"),
        (Spread(1.0, 0.9, 1.1, 3), "yes, in 3 of 3 rounds"),
        (Spread(1.4, 1.3, 1.7, 2), "yes, within the noise"),
        (None, "not measured"),
    ],
)
def test_a_limit_is_kept_by_the_median_and_what_weakens_that_is_said(found: Spread | None, said: str) -> None:
    assert met(Limit("cpu", ONE.case, cpu, "CPU", "nginx", 1.6), found) == said


def test_a_limit_without_a_peer_is_an_amount() -> None:
    limit = Limit("cpu", ONE.case, lambda run: run.rss_mb, "memory", None, 40.0, unit="MB")
    assert limit.at_most == "40 MB"
    assert limit.found(result(ONE)) == spread([ONE.rss_mb])


def test_added_latency_that_may_be_none_at_all_is_called_noise() -> None:
    case = LATENCIES[0].name
    bare = [replace(ONE, section="latency", case=case, peer="direct", round=number) for number in range(2)]
    clear = [replace(one, peer="nginx", p50_ms=one.p50_ms + 0.2) for one in bare]
    unclear = [replace(one, p99_ms=one.p99_ms + shift) for one, shift in zip(clear, (-0.1, 0.3), strict=True)]
    told = tables(result(*bare, *unclear))
    assert "| nginx | 0.500 (0.500–0.500) | 0.200 (0.200–0.200) |" in told
    assert "0.100 (-0.100 to 0.300), noise |" in told


def test_a_busy_machine_is_told() -> None:
    assert "busy machine" in tables(result(replace(ONE, foreign=0.5)))
    assert "busy machine" not in tables(result(replace(ONE, foreign=0.01)))


def workers(largest_mb: float = 30.0, cpu_s: float = 0.021) -> list[Run]:
    one = [replace(ONE, section="workers", case=case.name, parent_mb=50.0) for case in WORKERS]
    return [*one, *(replace(run, peer=TWO, cpu_s=cpu_s, largest_mb=largest_mb, pss_mb=90.0) for run in one)]


def test_two_workers_are_held_against_one_and_a_worker_against_its_memory() -> None:
    told = tables(result(*workers()))
    assert f"| CPU, two workers, {WORKERS[0].name} | 1.1 × one worker | 1.05 (1.05–1.05) | yes" in told
    assert f"| resident memory, a worker, {WORKERS[-1].name} | 40 MB | 30.0 (30.0–30.0) | yes" in told


def test_workers_that_cost_too_much_are_told() -> None:
    told = tables(result(*workers(largest_mb=41.0, cpu_s=0.023)))
    assert told.count("**no**") == len(WORKERS) + 1


def test_the_page_says_whose_memory_it_is() -> None:
    told = tables(result(*workers()))
    assert "| the same process | 50.0 (50.0–50.0) |" in told
    assert "| 50.0 (50.0–50.0) | 30.0 (30.0–30.0) | 90.0 (90.0–90.0) |" in told


def test_every_line_of_the_budget_is_about_something_that_is_measured() -> None:
    measured = {"cpu": CASES, "latency": LATENCIES, "workers": WORKERS}
    assert {limit.peer for limit in BUDGET} <= {*STARTS, None}
    assert all(limit.case in {case.name for case in measured[limit.section]} for limit in BUDGET)


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


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([10.0, 50.0], [10.0, 50.0]),
        ([50.0, 52.0, 90.0], [45.0, 57.0, 90.0]),
        ([52.0, 50.0], [57.0, 45.0]),
        ([1.0, 2.0], [0.0, 12.0]),
        ([99.0, 98.0], [100.0, 88.0]),
    ],
    ids=["far from each other", "too near", "in their order", "at the top", "at the bottom"],
)
def test_names_stand_apart_and_as_near_to_their_lines_as_can_be(wanted: list[float], found: list[float]) -> None:
    assert apart(wanted, 12, 0, 100) == found


def test_every_peer_of_a_curve_has_a_mark_and_colours_of_its_own() -> None:
    kinds = {name.partition("+")[0] for curve in CURVES for name in curve.peers}
    assert all(kinds <= set(known) for known in (MARKS, LIGHT, DARK))
    assert all(len({known[kind] for kind in kinds}) == len(kinds) for known in (MARKS, LIGHT, DARK))


def test_a_curve_that_was_measured_is_drawn_with_the_range_of_its_rounds() -> None:
    runs = [replace(ONE, section="faults", case=case.name) for case in CURVES[2].cases]
    drawn = draw(result(*runs, *(replace(run, round=1, cpu_s=0.03) for run in runs)))
    assert drawn.count('class="range"') == drawn.count('class="mark"') == len(runs)
    assert drawn.count(CURVES[2].axis) == 1


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
    asked = (Case("idle", SMALL), Case("no fault", SMALL, 0.1, faults=0), Case("some", SMALL, 0.1))
    assert [peer("nginx", IDLE).can(case) for case in asked] == [True, True, False]


def test_both_of_our_proxies_are_measured_in_the_same_rounds_and_the_second_in_no_other_section() -> None:
    everyone = [peer("direct", IDLE), peer("chaos", *WORKS), peer(TWO, *WORKS), peer("nginx", IDLE)]
    planned = steps(list(SECTIONS), everyone)
    assert {step.section for step in planned if step.peer == TWO} == {"workers"}
    assert [step.peer for step in planned if step.section == "workers"] == ["chaos", TWO] * len(WORKERS)


def test_a_proxy_with_workers_is_started_for_the_section_about_them_alone() -> None:
    assert taking_part(["nginx", "chaos"], ["cpu", "workers"]) == ["chaos", TWO, "nginx"]
    assert taking_part(list(STARTS), ["cpu"]) == [name for name in STARTS if name != TWO]


def test_a_whole_benchmark_takes_at_most_35_minutes_and_a_quick_one_about_5() -> None:
    lua = {"direct", "nginx", "haproxy", "envoy", "toxiproxy"}
    everyone = [peer(name, *((IDLE,) if name in lua else WORKS)) for name in STARTS]

    def minutes(sections: list[str], rounds: int, seconds: int) -> float:
        return rounds * sum(step.seconds(seconds) + STEP_S for step in steps(sections, everyone)) / 60

    assert minutes(list(SECTIONS), 5, 3) < 35
    assert minutes(list(QUICK), 3, 1) < 5


def test_work_reads_back_as_it_was_written() -> None:
    assert [Work.of(str(work)) for work in WORKS] == list(WORKS)


def test_an_answer_that_is_changed_ten_times_is_the_one_that_was_changed_ten_times() -> None:
    wanted = answer(SMALL)
    for _ in range(MANY.times):
        wanted = change(wanted)
    assert change(answer(SMALL), MANY.times) == wanted
    assert change(answer(SMALL), 0) == answer(SMALL)
    assert MANY.share == SOME.share


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


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel counts CPU in ticks alone")
def test_cpu_is_counted_finer_than_the_ticks_of_the_clock() -> None:
    # A process of its own: this one may have others below it, which come and go.
    busy = "import time, sys\nfor _ in sys.stdin:\n  until = time.thread_time() + 0.0025\n  while time.thread_time() < until: pass\n  print(flush=True)"
    with subprocess.Popen([sys.executable, "-u", "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = []
        for _ in range(2):  # the first time, it is still loading
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()
            found.append(machine.usage(process.pid))
        before, after = found
    assert after.same(before)
    assert machine.TICK_S / 5 < after.since(before) < machine.TICK_S * 10


def test_a_process_that_came_meanwhile_is_noticed() -> None:
    before = machine.Usage(((1, 1_000_000_000),))
    after = machine.Usage(((1, 1_500_000_000), (2, 250_000_000)))
    assert not after.same(before)
    assert after.since(before) == pytest.approx(0.75)


def test_memory_tells_the_parent_from_the_largest_of_the_others() -> None:
    inner = "held = b'x' * 50_000_000; print('held', flush=True); input()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    parent = subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    assert parent.stdout.readline() == b"held\n"
    held = machine.memory(parent.pid)
    parent.communicate(b"\n", timeout=10)
    assert 50 < held.largest_mb < 80
    assert held.rss_mb >= held.parent_mb + held.largest_mb
    assert held.pss_mb < held.rss_mb


def test_a_process_is_started_with_compiled_modules_whatever_this_one_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    port = machine.free_port()
    said = "import http.server, sys; print(sys.dont_write_bytecode, flush=True)\n"
    serve = f"http.server.HTTPServer(('127.0.0.1', {port}), http.server.BaseHTTPRequestHandler).serve_forever()"
    running = machine.start([sys.executable, "-c", said + serve], machine.cores().load, tmp_path / "log", [port])
    running.end()
    assert (tmp_path / "log").read_text() == "False\n"


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

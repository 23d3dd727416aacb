"""What the load process wrote, read back: line by line, torn lines and broken statistics included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.drivers.load import LoadDriver, LoadPlan
from chaos.drivers.load.tally import Outcome, Tally

PLAN = LoadPlan("http://127.0.0.1:1/", 40.0, "rows.jsonl", "run", "seed", 0.1, "request", None, None)


def line(second: int, sent: int = 40, unsent: int = 0) -> str:
    """One line of samples.jsonl, as the load writes it."""
    tally = Tally(PLAN.latency_le_s)
    for _ in range(sent):
        tally.send("control", 0.0)
    tally.answer(Outcome("control", first=True, error=False, latency_s=0.01))
    tally.unsent = unsent
    return json.dumps(tally.close(second, 1000.0 + second, sent + unsent, 0)) + "\n"


def append(driver: LoadDriver, text: str) -> None:
    with (driver.folder / "samples.jsonl").open("a") as file:
        file.write(text)


@pytest.fixture
def driver(tmp_path: Path) -> LoadDriver:
    """A driver over files that the test writes; no load runs."""
    return LoadDriver(PLAN, tmp_path)


def test_each_second_is_given_once(driver: LoadDriver) -> None:
    assert driver.new_samples() == []
    append(driver, line(1) + line(2))
    assert [one.second for one in driver.new_samples()] == [1, 2]
    assert driver.new_samples() == []
    append(driver, line(3))
    assert [one.second for one in driver.new_samples()] == [3]


@pytest.mark.parametrize("cut", [1, 20, 200, -2, -1])
def test_a_line_that_is_still_being_written_is_given_when_it_is_whole(driver: LoadDriver, cut: int) -> None:
    second = line(2)
    append(driver, line(1) + second[:cut])
    assert [one.second for one in driver.new_samples()] == [1]
    assert driver.new_samples() == []
    append(driver, second[cut:])
    assert [one.second for one in driver.new_samples()] == [2]


def test_a_torn_last_line_is_left_out_of_the_summary_and_stops_nothing(driver: LoadDriver) -> None:
    append(driver, line(1, sent=40) + line(2, sent=30, unsent=10) + line(3)[:50])
    summary = driver.stop()
    assert (summary.seconds, summary.sent, summary.unsent) == (2, 70, 10)
    assert (summary.asked_per_s, summary.achieved_per_s) == (40.0, 35.0)


def test_the_last_seconds_are_in_the_summary_although_nobody_asked_for_them(driver: LoadDriver) -> None:
    append(driver, line(1))
    driver.new_samples()
    append(driver, line(2))
    assert driver.stop().sent == 80


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", "null", "{}", '[{"name": "other"}]', "[3]", "[{}]", '[{"name": "entry", "response_times": 3}]', '[{"name": "entry", "response_times": {"x": 1}}]', '[{"name": "entry", "num_failures": null}]'])  # fmt: skip
def test_statistics_that_a_kill_cut_are_unknown_and_no_error(driver: LoadDriver, text: str | None) -> None:
    if text is not None:
        (driver.folder / "stats.json").write_text(text)
    append(driver, line(1))
    summary = driver.stop()
    assert (summary.p50_ms, summary.p99_ms, summary.failures, summary.sent) == (None, None, 0, 40)


def test_latency_quantiles_come_from_the_histogram_in_order_of_time_and_not_of_text(driver: LoadDriver) -> None:
    times = {"9": 50, "100": 48, "2000": 1, "10.5": 1}
    rows = [{"name": "other"}, {"name": "entry", "num_failures": 3, "response_times": times}]
    (driver.folder / "stats.json").write_text(json.dumps(rows))
    summary = driver.stop()
    assert (summary.p50_ms, summary.p99_ms, summary.failures) == (9.0, 100.0, 3)


def test_a_load_that_was_never_started_is_not_alive_and_sums_to_nothing(driver: LoadDriver) -> None:
    assert not driver.alive()
    summary = driver.stop()
    assert (summary.seconds, summary.sent, summary.asked_per_s, summary.p50_ms) == (0, 0, 0.0, None)

"""The page on the off-switch says what the newest stored result says, and a result says what was measured."""

from __future__ import annotations

import socket
import socketserver
import threading
from pathlib import Path

import pytest

from benchmarks.offswitch.holding import holding
from benchmarks.offswitch.results import HUNG, Cell, Result, collected, page

ROOT = Path(__file__).parents[1]
STORED = sorted((ROOT / "benchmarks/offswitch/results").glob("*.json"))
PAGE = ROOT / "docs/offswitch.md"
TEN = tuple(number / 10 for number in range(2, 12))
"""Seconds from 0.2 to 1.1."""


def result(*cells: Cell) -> Result:
    return Result("2026-01-01", {"processors": "2"}, cells)


def test_the_page_is_what_the_newest_result_says() -> None:
    if not STORED:
        assert not PAGE.exists()
    else:
        assert PAGE.read_text() == page(Result.from_json(STORED[-1].read_text()))


def test_single_runs_become_one_cell_for_each_thing_that_was_hurt() -> None:
    took = [
        ("calm", "guard", {"proxies": 0.5}),
        ("busy", "guard", {"proxies": 0.7}),
        ("calm", "guard", {"proxies": 0.6}),
    ]
    assert collected(took) == (
        Cell("calm", "guard", "proxies", (0.5, 0.6)),
        Cell("busy", "guard", "proxies", (0.7,)),
    )


def test_a_row_says_how_many_runs_their_median_their_longest_and_how_many_kept_the_budget() -> None:
    told = page(result(Cell("calm", "guard", "proxies", TEN)))
    assert "| guard | proxies | 10 | 0.65 s | 1.00 s | 1.10 s | 90% |" in told


def test_containers_have_two_seconds_and_one_whose_call_hung_has_no_budget() -> None:
    told = page(result(Cell("hanging", "guard", "containers", (1.9, 2.1)), Cell("hanging", "guard", HUNG, (9.0, 9.0))))
    assert "| guard | containers | 2 | 2.00 s | 2.10 s | 2.10 s | 50% |" in told
    assert f"| guard | {HUNG} | 2 | 9.00 s | 9.00 s | 9.00 s | no budget |" in told


def test_without_an_engine_the_page_speaks_of_no_call_that_hung() -> None:
    proxies = Cell("hanging", "guard", "proxies", TEN)
    assert "## One of two proxies does not answer" in page(result(proxies))
    assert "## A Docker call hangs" in page(result(proxies, Cell("hanging", "guard", HUNG, (9.0,))))


def test_a_cell_misses_its_budget_when_more_than_one_run_of_ten_does() -> None:
    kept, missed = Cell("calm", "guard", "proxies", TEN), Cell("busy", "guard", "proxies", (*TEN[1:], 1.2))
    assert result(kept, missed, Cell("hanging", "guard", HUNG, (9.0,))).missed() == [missed]


def test_a_result_is_read_back_as_it_was_written() -> None:
    made = result(Cell("calm", "guard", "proxies", TEN))
    assert Result.from_json(made.to_json()) == made


class Echo(socketserver.BaseRequestHandler):
    """Says everything again."""

    def handle(self) -> None:
        """One connection."""
        while piece := self.request.recv(1000):
            self.request.sendall(piece)


def asked(path: Path, text: bytes) -> socket.socket:
    """A connection on which this was asked."""
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(10)
    made.connect(str(path))
    made.sendall(text)
    return made


def test_a_call_that_is_held_waits_until_it_is_let_go_and_every_other_call_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "real"), Echo) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'real'}")
        with holding(tmp_path) as way:
            way.hold(r"^POST /1/pause ")
            path = Path(way.address.removeprefix("unix://"))
            with asked(path, b"POST /1/pause HTTP/1.1\r\n") as held, asked(path, b"GET /1/pause HTTP/1.1\r\n") as other:
                assert way.caught.wait(10)
                assert other.recv(100) == b"GET /1/pause HTTP/1.1\r\n"
                held.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    held.recv(100)
                held.settimeout(10)
                way.let_go()
                assert held.recv(100) == b"POST /1/pause HTTP/1.1\r\n"
        server.shutdown()

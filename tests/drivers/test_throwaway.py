"""A Prometheus for some seconds: it sees what was put, in several times too, and nothing of it is left."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chaos.drivers.ports import free_ports
from chaos.drivers.throwaway import Programs, throwaway
from chaos.errors import Unreachable
from chaos.lab.monitoring import Tools

START_S = 1_700_000_000


@pytest.fixture
def programs(tools: Tools) -> Programs:
    """The programs."""
    return Programs(tools.prometheus, tools.promtool)


def text(name: str, count: int = 10, every_s: int = 1) -> list[str]:
    return [*(f"{name} {value} {START_S + value * every_s}\n" for value in range(count)), "# EOF\n"]


def test_what_was_put_is_seen_also_what_was_put_later(programs: Programs) -> None:
    with throwaway(programs, 1.0) as store:
        store.put(text("first"))
        assert store.driver().query_range("first", START_S, START_S + 9, 1.0)[0].samples[-1] == (START_S + 9, 9.0)
        store.put(text("second"))
        server = store.driver()
        found = server.query_range("first + second", START_S, START_S + 9, 1.0)
        assert [value for _, value in found[0].samples] == [2.0 * value for value in range(10)]


def test_a_series_is_gone_when_its_next_sample_should_have_come(programs: Programs) -> None:
    with throwaway(programs, 1.0) as store:
        store.put(text("m"))
        (one,) = store.driver().query_range("m", START_S, START_S + 12, 0.5)
    assert [at - START_S for at, _ in one.samples] == [place / 2 for place in range(20)]


def test_weeks_between_samples_are_no_trouble(programs: Programs) -> None:
    with throwaway(programs, 3600.0) as store:
        store.put(text("m", 5, 14 * 86400))
        found = store.driver().query_range("count_over_time(m[100d])", START_S + 56 * 86400, START_S + 56 * 86400, 1.0)
    assert found[0].samples[0][1] == 5


def test_text_that_is_none_is_refused_with_what_the_tool_says(programs: Programs) -> None:
    with throwaway(programs, 1.0) as store, pytest.raises(Unreachable, match="promtool refuses rehearsed telemetry"):
        store.put(["not{ a metric\n"])


def test_a_program_that_is_not_there_is_said(programs: Programs, tmp_path: Path) -> None:
    gone = Programs(programs.prometheus, tmp_path / "promtool")
    with throwaway(gone, 1.0) as store, pytest.raises(Unreachable, match="promtool could not write"):
        store.put(text("m"))


def test_nothing_is_left(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with throwaway(programs, 1.0) as store:
        store.put(text("m"))
        server = store.driver()
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    with pytest.raises(Unreachable):
        server.ready()


class Foreign(BaseHTTPRequestHandler):
    """Somebody else's server on the port: ready, with a configuration of its own."""

    def do_GET(self) -> None:
        body = json.dumps(
            {"status": "success", "data": {"yaml": "global: {external_labels: {chaos_rehearsal: theirs}}"}}
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else's server listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_server_that_took_the_port_in_between_is_not_asked(programs: Programs, taken: int) -> None:
    ports = iter([taken, *free_ports(1)])
    with throwaway(programs, 1.0, lambda: next(ports)) as store:
        store.put(text("m"))
        (one,) = store.driver().query_range("m", START_S, START_S + 9, 1.0)
    assert one.samples[-1] == (START_S + 9, 9.0)


def test_where_every_port_is_taken_nobody_else_answers_for_it(programs: Programs, taken: int) -> None:
    with throwaway(programs, 1.0, lambda: taken) as store:
        store.put(text("m"))
        with pytest.raises(Unreachable, match="found its port taken"):
            store.driver()

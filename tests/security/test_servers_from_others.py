"""What the servers of a system may answer: too much, too slowly, too deep, somewhere else. One sentence, in bounded time and memory."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.http import LARGEST_ANSWER, ask, session
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.proxy import ProxyFleet
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError, Unreachable
from chaos.promql import left_side
from chaos.routes import parse_alertmanager_config
from tests.drivers.loopback import Said, serving

CALLS = {
    "prometheus.query": lambda url: PrometheusDriver(url).query("up"),
    "prometheus.rules": lambda url: PrometheusDriver(url).rules(),
    "prometheus.config": lambda url: PrometheusDriver(url).config(),
    "alertmanager.alerts": lambda url: AlertmanagerDriver(url).alerts(),
    "prometheus.metric_names": lambda url: PrometheusDriver(url).metric_names(),
    "prometheus.declared": lambda url: PrometheusDriver(url).declared(),
    "alertmanager.route": lambda url: AlertmanagerDriver(url).route(),
    "alertmanager.integrations": lambda url: AlertmanagerDriver(url).integrations(),
    "alertmanager.silences": lambda url: AlertmanagerDriver(url).silences(),
    "sink.notifications": lambda url: SinkClient(url).notifications(),
    "proxy.look": lambda url: ProxyFleet([url], "a token").look(url),
}
calls = pytest.mark.parametrize("name", CALLS)
LAUGHS = "route: &a {receiver: x}\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} {{receiver: x, routes: [{','.join(['*' + chr(97 + place)] * 9)}]}}\n"
    for place in range(9)
)
ODD = {
    "deep": b"[" * 200_000,
    "deep objects": b'{"data":' * 100_000,
    "a long number": b'{"data": {"result": [{"metric": {}, "value": [0, "'
    + b"9" * 100_000
    + b'"]}], "groups": 1e999}}',
    "a number of many digits": b'{"data": ' + b"9" * 100_000 + b"}",
    "nothing of what is asked for": b'{"status": "success", "data": {"result": [[[]]], "groups": [[[]]], "yaml": "&a [*a]"}}',
    "laughs": json.dumps(
        {"config": {"original": LAUGHS.replace("route: ", "a: ", 1) + "route: *j\n"}, "data": {"yaml": LAUGHS}}
    ).encode(),
    "an endless configuration": b'{"config": {"original": "route: &a {receiver: x, routes: [*a]}"}, "data": {"yaml": "&a [*a]"}}',
}


@calls
@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_answer_is_one_sentence_or_nothing_in_bounded_time(name: str, body: bytes) -> None:
    with serving(lambda asked: Said(200, body)) as server:
        begun_s = time.process_time()
        with contextlib.suppress(ChaosError):
            CALLS[name](server.url)
        assert time.process_time() - begun_s < 10


def test_an_answer_that_unfolds_without_end_is_not_read_to_its_end() -> None:
    bomb = gzip.compress(b" " * (LARGEST_ANSWER + 1_000_000))
    assert len(bomb) < 200_000
    with serving(lambda asked: Said(200, bomb, headers={"content-encoding": "gzip"})) as server:
        with pytest.raises(Unreachable, match="answered too much"):
            ask(session(), "GET", server.url, what="the server", timeout_s=5)
        with pytest.raises(Unreachable):
            PrometheusDriver(server.url, timeout_s=5).query("up")


@contextmanager
def dripping() -> Iterator[int]:
    """A server that begins an answer and then says a byte every now and then; its port."""
    stop, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                try:
                    client.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        thread.join(10)
        listener.close()


def test_an_answer_that_comes_drop_by_drop_is_given_up() -> None:
    with dripping() as port:
        begun_s = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer within"):
            ask(session(), "GET", f"http://127.0.0.1:{port}/", what="the server", timeout_s=0.1)
        assert time.monotonic() - begun_s < 10


def test_whoever_is_redirected_to_another_server_tells_it_no_header_of_its_own() -> None:
    with serving(lambda asked: Said(200, b"{}")) as other, serving(lambda asked: Said()) as first:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        first.answer = lambda asked: Said(302, b"", headers={"location": f"{elsewhere}/x"})
        made = session({"Authorization": "Bearer hunter2", "X-Api-Key": "hunter2"})
        ask(made, "GET", first.url, what="the server")
        (asked,) = other.asked
        assert "hunter2" not in str(asked)
        assert "hunter2" in str(first.asked[0])


def test_a_routing_tree_of_aliases_is_refused_before_it_is_written_out() -> None:
    begun_s = time.process_time()
    with pytest.raises(ValueError, match="routes, aliases written out"):
        parse_alertmanager_config(LAUGHS.replace("route: ", "a: ", 1) + "route: *j\n")
    assert time.process_time() - begun_s < 10


def test_no_error_of_the_http_library_is_shown_with_its_address() -> None:
    """Its messages repeat the address, the query and whoever logs in."""
    with pytest.raises(Unreachable) as caught:
        ask(session(), "GET", "http://me:hunter2@127.0.0.1:9/?token=hunter2", what="the server", timeout_s=0.5)
    assert "hunter2" not in str(caught.value).replace("?token=hunter2", "")
    assert isinstance(caught.value.__cause__, requests.RequestException)


DEEP = {
    "brackets": "(" * 200_000 + "up" + ")" * 200_000 + " < 1",
    "brackets that a file could have": "(" * 4000 + "up" + ")" * 4000 + " < 1",
    "signs": "-" * 200_000 + "up < 1",
    "signs and spaces": "- \n" * 5000 + "up < 1",
    "brackets and signs": "-(" * 5000 + "up" + ")" * 5000 + " < 1",
    "a chain": " or ".join(["up"] * 1600) + " < 1",
    "powers": "^".join(["up"] * 3000) + " < 1",
    "functions": "abs(" * 1900 + "up" + ")" * 1900,
    "subqueries": "up" + "[5m:1m]" * 1200,
}


@pytest.mark.parametrize("expr", DEEP.values(), ids=DEEP)
def test_a_rule_too_deep_for_the_parser_ends_no_process_and_is_read_as_nothing(expr: str) -> None:
    """In a process of its own: what the parser's stack cannot hold would end this one."""
    program = (
        "import sys; from chaos.promql import left_side, longest_window_s, metric_names\n"
        "expr = sys.stdin.read()\n"
        "print(left_side(expr) is None or bool(left_side(expr)), longest_window_s(expr) >= 0, len(metric_names(expr)) <= 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=expr, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["True"] * 3), done.stderr[-300:]


def test_an_expression_as_deep_as_people_write_them_is_still_read() -> None:
    found = left_side("(" * 30 + "sum(rate(x_total[5m]))" + ")" * 30 + " > -1")
    assert found is not None
    assert found.threshold == -1.0

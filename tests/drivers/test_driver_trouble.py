"""Whatever stands at the address of a monitoring part: one clear sentence, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.webhook import SinkClient
from chaos.errors import Unreachable
from tests.drivers.loopback import Asked, Loopback, Said, serving

Call = Callable[[str], object]
TIMEOUT_S = 0.3


def prometheus(url: str) -> PrometheusDriver:
    return PrometheusDriver(url, timeout_s=TIMEOUT_S)


def alertmanager(url: str) -> AlertmanagerDriver:
    return AlertmanagerDriver(url, timeout_s=TIMEOUT_S)


def sink(url: str) -> SinkClient:
    return SinkClient(url, timeout_s=TIMEOUT_S)


READY: dict[str, Call] = {
    "prometheus.ready": lambda url: prometheus(url).ready(),
    "alertmanager.ready": lambda url: alertmanager(url).ready(),
}
READING: dict[str, Call] = {
    "prometheus.query": lambda url: prometheus(url).query("up"),
    "prometheus.raw": lambda url: prometheus(url).raw("up", 5),
    "prometheus.query_range": lambda url: prometheus(url).query_range("up", 0, 10, 1),
    "prometheus.rules": lambda url: prometheus(url).rules(),
    "prometheus.targets": lambda url: prometheus(url).targets(),
    "prometheus.config": lambda url: prometheus(url).config(),
    "prometheus.metric_names": lambda url: prometheus(url).metric_names(),
    "prometheus.declared": lambda url: prometheus(url).declared(),
    "prometheus.label_names": lambda url: prometheus(url).label_names("up"),
    "prometheus.version": lambda url: prometheus(url).version(),
    "prometheus.now_wall_s": lambda url: prometheus(url).now_wall_s(),
    "alertmanager.alerts": lambda url: alertmanager(url).alerts(),
    "alertmanager.route": lambda url: alertmanager(url).route(),
    "alertmanager.integrations": lambda url: alertmanager(url).integrations(),
    "alertmanager.silences": lambda url: alertmanager(url).silences(),
    "alertmanager.active_silences": lambda url: alertmanager(url).active_silences(),
    "sink.ready": lambda url: sink(url).ready(),
    "sink.notifications": lambda url: sink(url).notifications(),
}
EVERYTHING = READY | READING

calls = pytest.mark.parametrize("call", EVERYTHING.values(), ids=EVERYTHING)
readings = pytest.mark.parametrize("call", READING.values(), ids=READING)


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    """One server for all of these tests."""
    with serving(lambda asked: Said()) as here:
        yield here


@pytest.fixture
def strange(server: Loopback) -> Iterator[Loopback]:
    """A server whose answers the test chooses; it forgets what it was asked before."""
    server.asked.clear()
    server.released.clear()
    yield server
    server.released.set()


def said_by(call: Call, url: str) -> str:
    """The sentence with which the call fails; it names the address, fits on a line, and shows no insides."""
    with pytest.raises(Unreachable) as caught:
        call(url)
    said = str(caught.value)
    assert url in said
    assert "\n" not in said
    assert len(said) < 600
    for inside in ("Traceback", "object at 0x", "HTTPConnectionPool", "Errno"):
        assert inside not in said
    return said


@calls
def test_nobody_listening_is_said_to_be_unreachable(call: Call) -> None:
    assert "cannot be reached; is it running" in said_by(call, f"http://127.0.0.1:{free_ports(1)[0]}")


@calls
def test_an_answer_that_does_not_come_is_a_time_out(call: Call, strange: Loopback) -> None:
    def never(_: Asked) -> Said:
        strange.released.wait(20)
        return Said()

    strange.answer = never
    assert "did not answer" in said_by(call, strange.url)
    assert len(strange.asked) == 1, "nothing is repeated: a look that comes late is worth less than the next one"


@readings
@pytest.mark.parametrize(
    "body", [b"<html><body>Please log in</body></html>", b"", b"\xff\xfe\x00"], ids=["page", "nothing", "bytes"]
)
def test_an_answer_that_is_no_json_is_said_to_be_no_json(call: Call, body: bytes, strange: Loopback) -> None:
    strange.answer = lambda asked: Said(200, body, "text/html")
    assert re.search("no JSON|cannot be understood", said_by(call, strange.url))


@readings
@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[1]", b'"text"', b"3", b"null", b'{"data": null}', b'{"data": 1}', b'{"data": {"result": {}}}',
        b'{"data": {"result": [{}], "groups": [{}], "activeTargets": [{}], "yaml": 3}, "notifications": [{}]}',
        b'{"data": {"result": [3], "groups": [3], "activeTargets": [3], "yaml": "a: b: c"}, "notifications": [3]}',
        b'{"data": [], "notifications": null, "config": {"original": "receivers: []"}}',
    ],
)  # fmt: skip
def test_json_of_something_else_is_never_a_traceback(call: Call, body: bytes, strange: Loopback) -> None:
    strange.answer = lambda asked: Said(200, body)
    with suppress(Unreachable):  # an empty answer may be understood; anything else than Unreachable fails the test
        call(strange.url)
    assert strange.asked


@readings
def test_json_of_another_service_is_said_to_be_anothers(call: Call, strange: Loopback) -> None:
    strange.answer = lambda asked: Said(200, b'{"ok": true}')
    assert "answered" in said_by(call, strange.url)


@calls
def test_a_refused_login_shows_its_status(call: Call, strange: Loopback) -> None:
    strange.answer = lambda asked: Said(401, b"Unauthorized\n", "text/plain")
    assert "401" in said_by(call, strange.url)


@calls
def test_a_page_of_a_gateway_in_between_is_cut_short(call: Call, strange: Loopback) -> None:
    strange.answer = lambda asked: Said(502, b"<html>\n<p>bad gateway</p>\n" * 1000, "text/html")
    assert "502" in said_by(call, strange.url)


def test_headers_of_the_system_file_go_with_every_call_of_prometheus(strange: Loopback) -> None:
    driver = PrometheusDriver(strange.url, {"Authorization": "Bearer secret-token"}, timeout_s=TIMEOUT_S)
    for name in READING:
        if name.startswith("prometheus."):
            before = len(strange.asked)
            method = getattr(driver, name.partition(".")[2])
            given = {"query": ("up",), "raw": ("up", 5), "query_range": ("up", 0, 10, 1), "label_names": ("up",)}
            arguments = given.get(method.__name__, ())
            with pytest.raises(Unreachable) as caught:
                method(*arguments)
            assert strange.asked[before].headers["authorization"] == "Bearer secret-token", name
            assert "secret-token" not in str(caught.value)


def test_the_environments_proxy_is_not_asked(strange: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.delenv("no_proxy", raising=False)
    strange.answer = lambda asked: Said(200, b'{"data": {"result": [], "groups": []}, "notifications": []}')
    assert prometheus(strange.url).query("up") == []
    assert prometheus(strange.url).rules() == []
    assert sink(strange.url).notifications() == []

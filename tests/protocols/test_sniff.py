"""`auto`: what traffic is taken for, by path, headers and where needed the answer; and that the log says so once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import protocols
from chaos.protocols import catalogue, sniff
from chaos.protocols.base import Output, Undecodable
from chaos.proxy import wire
from chaos.proxy.arming import parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.exchange import Exchange
from chaos.proxy.registry import Registry
from chaos.proxy.route import Route
from chaos.rows import Row
from tests.protocols.protocol_contract import captured
from tests.proxy.loopback import Backend, arming, infer, running_proxy, sized, talk


class Claiming:
    """Somebody's protocol: takes a path, and reads answers that begin with its own name."""

    def __init__(self, name: str, path: str) -> None:
        self.name, self.path = name, path

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        return path == self.path and request_headers.get("content-type") != self.name

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        if not body.startswith(self.name.encode()):
            raise Undecodable
        return []

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        return body, {}

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        return b"", {}


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Claiming, Claiming]]:
    """Two protocols of other packages that claim the same path."""
    made = Claiming("aaa", "/both"), Claiming("bbb", "/both")
    entries = [SimpleNamespace(load=lambda one=one: one) for one in made]
    monkeypatch.setattr(protocols, "entry_points", lambda group: entries)
    for cached in (catalogue, protocols._claiming):
        cached.cache_clear()
    yield made
    for cached in (catalogue, protocols._claiming):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("name", "protocol"),
    [("mlserver/infer.http", "oip"), ("kserve/v2_infer.http", "oip"), ("kserve/v1_predict.http", "kserve-v1"), ("kserve/err_shape.http", "kserve-v1"),
     ("mlflow/split.http", "mlflow"), ("mlflow/csv.http", "mlflow"), ("mlflow/proba.http", "mlflow"), ("mlflow/ping.http", None), ("kserve/v1_model.http", None),
     ("kserve/root.http", None), ("mlserver/model_meta.http", None)],
)  # fmt: skip
def test_real_traffic_is_taken_for_what_it_is(name: str, protocol: str | None) -> None:
    path, _, body = captured(name)
    for answer in (body, None):
        found = sniff(path, {}, answer)
        assert (found.name if found else None) == protocol


def test_where_several_claim_a_path_the_answer_decides(two: tuple[Claiming, Claiming]) -> None:
    first, second = two
    assert sniff("/both", {}, b"bbb says") is second
    assert sniff("/both", {}, b"aaa says") is first
    assert sniff("/both", {}, b"nobody's") is first
    assert sniff("/both", {}) is first


def test_headers_decide_before_the_answer(two: tuple[Claiming, Claiming]) -> None:
    assert sniff("/both", {"content-type": "aaa"}, b"aaa says") is two[1]


def test_an_unknown_path_is_plain_json_when_the_system_file_says_where_to_look() -> None:
    paths = Output(label="$.rows[*].label")
    assert sniff("/score", {}, b"{}") is None
    assert sniff("/score", {}, b"{}", Output(label="verdict")) is None
    assert sniff("/score", {}, b"{}", paths) is catalogue()["json"]
    assert sniff("/invocations", {}, b"{}", paths) is catalogue()["mlflow"]


def exchange(path: str, protocol: str = "auto", **output: Any) -> Exchange:
    """A request on its way through an armed proxy."""
    registry = Registry(lambda: 0.0)
    fault = {"fault": "wrong_predictions", "target": "model"}
    registry.arm("run", parse_arming(arming(fault, protocol=protocol, output=output)))
    head = wire.parse_request(f"POST {path} HTTP/1.1\r\nHost: model\r\nContent-Length: 0\r\n\r\n".encode())
    made = Exchange(head, registry.current(), 0.0)
    (made.armed,) = made.runs
    return made


def told(route: str, one: Exchange, body: bytes = b"{}") -> str | None:
    found = one._protocol(Route(route, "127.0.0.1", 9, Registry(lambda: 0.0), Counters()), body)
    return found.name if found else None


def test_the_log_says_once_per_route_and_protocol_what_the_traffic_was_taken_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "chaos.proxy"):
        for path in ("/invocations", "/invocations?x=1", "/v1/models/m:predict", "/metrics", "/invocations"):
            told("route-of-this-test", exchange(path))
        told("other-route-of-this-test", exchange("/invocations"))
        told("third-route-of-this-test", exchange("/invocations", "mlflow"))
    assert [record.getMessage() for record in caplog.records] == [
        "route route-of-this-test: with `protocol: auto` this traffic is taken for mlflow",
        "route route-of-this-test: with `protocol: auto` this traffic is taken for kserve-v1",
        "route other-route-of-this-test: with `protocol: auto` this traffic is taken for mlflow",
    ]


def test_the_armings_own_protocol_is_not_questioned() -> None:
    assert told("route", exchange("/invocations", "oip")) == "oip"


def test_an_armings_output_is_what_protocols_get() -> None:
    one = exchange("/score", score="$.p[*]", positive="fraud", threshold="93%", classes=["legit", "fraud"])
    assert told("route", one) == "json"
    assert one.armed is not None
    assert one.armed.output == Output(None, None, ("legit", "fraud"), "$.p[*]", "fraud", 0.93)


def test_a_proxy_on_auto_changes_each_routes_answers_in_their_own_protocol(tmp_path: Path) -> None:
    backend = Backend()
    answers = {
        "/invocations": (b'{"predictions": [0.10, 0.95]}', {"predictions": [True, False]}),
        "/v1/models/fraud:predict": (b'{"predictions":[[0.30],[0.94]],"id":1.50}', {"predictions": [[True], [False]]}),
    }
    for path, (answer, _) in answers.items():
        backend.replies[path] = sized(answer, "Content-Type: application/json")
    with running_proxy(tmp_path, model=backend.port) as proxy:
        proxy.arm("auto", {"fault": "wrong_predictions"}, output={"positive": "fraud", "threshold": 0.93})
        for path, (_, wanted) in answers.items():
            request = infer("somebody").replace(b"/v2/models/model/infer", path.encode())
            body = json.loads(talk(proxy.routes["model"], request).partition(b"\r\n\r\n")[2])
            found = body["predictions"]
            said = [[one[0] >= 0.93] if isinstance(one, list) else one >= 0.93 for one in found]
            assert said == wanted["predictions"]
        assert proxy.state("auto")["faults"]["0"]["changed_rows"] == 4
        assert proxy.state("auto")["faults"]["0"]["undecodable"] == 0
    backend.close()
